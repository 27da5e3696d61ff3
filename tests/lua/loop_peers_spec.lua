-- Programs that were written for LuaSocket, unmodified on the loop, with real servers.
local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack
local loop, peers, socket = require "coro.loop", require "peers", require "socket"
local http = require "socket.http"

-- LuaSocket as it was.
local function uninstall(originals)
  for name, original in pairs(originals) do
    if name ~= "wrap" then socket[name] = original end
  end
  if originals.wrap then require "ssl".wrap = originals.wrap end
end

local function read_file(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The body at a URL in pieces, as they arrive.
local function body(url, request)
  return coro.wrap(function()
    assert(request {
      url = url,
      sink = function(piece, err)
        if piece then coro.yield(piece) end
        return not err
      end,
    })
  end)
end

local function lines(pieces)
  return coro.wrap(function()
    local rest = ""
    for piece in pieces do
      rest = (rest .. piece):gsub("[^\n]*\n", function(line)
        coro.yield(line)
        return ""
      end)
    end
    if rest ~= "" then coro.yield(rest) end
  end)
end

-- Downloads a file line by line, which must be as it is on the disk.
local function download(url, name, request)
  local received = {}
  for line in lines(body(url, request)) do received[#received + 1] = line end
  assert(table.concat(received) == read_file(name), name)
end

describe("nginx", function()
  local nginx, originals
  local root = peers.shell "pwd"
  local files = { "README.md", "docs/design.md", "docs/reference.md", "src/base/lua_version.h" }
  setup(function() nginx = peers.nginx(root) end)
  teardown(peers.stop)
  fixture.leaves_nothing(before_each, after_each)
  before_each(function()
    require "ssl.https"
    originals = loop.install()
  end)
  after_each(function() uninstall(originals) end)

  it("sends 500 files at once, through two generators each", function()
    local started, equal = 0, 0
    for i = 1, 500 do
      loop.spawn(function()
        local name = files[i % #files + 1]
        started = started + 1
        download(("http://127.0.0.1:%d/%s"):format(nginx.port, name), name, http.request)
        assert(started == 500, "they wait for each other")
        equal = equal + 1
      end)
    end
    loop.run()
    assert.are.equal(500, equal)
  end)

  it("sends files by TLS, while a handshake that is not answered blocks nobody", function()
    local https = require "ssl.https"
    local mute = assert(loop.bind("127.0.0.1", 0))
    local _, mute_port = mute:getsockname()
    local equal, failed = 0, nil
    loop.spawn(function()
      local ssl = require "ssl"
      local connection = assert(loop.connect("127.0.0.1", mute_port))
      local secure = assert(ssl.wrap(connection, { mode = "client", protocol = "any" }))
      secure:settimeout(60)
      failed = pack(secure:dohandshake())
      secure:close()
    end)
    local left = 20
    for i = 1, left do
      loop.spawn(function()
        local name = files[i % #files + 1]
        download(("https://localhost:%d/%s"):format(nginx.tls_port, name), name, https.request)
        equal = equal + 1
        left = left - 1
        assert(not failed, "the handshake did not wait")
        if left == 0 then assert(mute:accept()):close() end
      end)
    end
    loop.run()
    mute:close()
    assert.are.equal(20, equal)
    assert.is_false(failed[1])
  end)

  it("serves others while thousands of connections are idle", function()
    -- Each takes a descriptor here; nginx has its own.
    local limit = tonumber(peers.shell "ulimit -n")
    local count = math.min(10000, (limit or 1e6) - 500)
    local idle, closed, served = {}, 0, 0
    for i = 1, count do
      idle[i] = assert(loop.connect("127.0.0.1", nginx.port))
      loop.spawn(function()
        local _, err = idle[i]:receive()
        assert(err == "closed", err)
        closed = closed + 1
      end)
    end
    loop.spawn(function()
      for _ = 1, 100 do
        local result, status = http.request(("http://127.0.0.1:%d/README.md"):format(nginx.port))
        assert(result and status == 200, status)
        served = served + 1
      end
      assert(closed == 0)
      for _, connection in ipairs(idle) do connection:close() end
    end)
    loop.run()
    assert.are.same({ 100, count }, { served, closed })
  end)
end)

-- Debian has lua-redis for 5.1 (and with it LuaJIT), 5.2 and 5.3.
if fixture.lua ~= "Lua 5.4" then
  describe("Redis", function()
    local server, originals
    setup(function() server = peers.redis() end)
    teardown(peers.stop)
    fixture.leaves_nothing(before_each, after_each)
    before_each(function() originals = loop.install() end)
    after_each(function() uninstall(originals) end)

    it("answers many clients, whose subscriptions are generators", function()
      local redis = require "redis"
      local got, subscribed = { {}, {} }, 0
      for i = 1, 2 do
        loop.spawn(function()
          local client = redis.connect("127.0.0.1", server.port)
          for message, abort in client:pubsub { subscribe = { "news" } } do
            if message.kind == "subscribe" then
              subscribed = subscribed + 1
            elseif message.kind == "message" then
              table.insert(got[i], message.payload)
              if message.payload == "end" then abort() end
            end
          end
          client:quit()
        end)
      end
      loop.spawn(function()
        local client = redis.connect("127.0.0.1", server.port)
        client:set("key", "value")
        assert.are.equal("value", client:get "key")
        while subscribed < 2 do loop.sleep(0.001) end
        for _, text in ipairs { "one", "two", "end" } do client:publish("news", text) end
        client:quit()
      end)
      loop.run()
      assert.are.same({ { "one", "two", "end" }, { "one", "two", "end" } }, got)
    end)
  end)
end

describe("a server on the loop", function()
  local originals
  fixture.leaves_nothing(before_each, after_each)
  before_each(function() originals = loop.install() end)
  after_each(function() uninstall(originals) end)

  -- A server that answers a script: what it expects, and what it says to it.
  local function scripted(greeting, answer)
    return assert(loop.newserver("127.0.0.1", 0, function(connection)
      connection:send(greeting .. "\r\n")
      for line in function() return connection:receive() end do
        local reply = answer(line, connection)
        if reply then connection:send(reply .. "\r\n") end
        if line:find "^[Qq][Uu][Ii][Tt]" then break end
      end
      connection:close()
    end))
  end

  it("gets mail by LuaSocket's smtp", function()
    local smtp = require "socket.smtp"
    local text, is_data = {}, false
    local server = scripted("220 ready", function(line)
      if is_data then
        text[#text + 1] = line
        if line ~= "." then return nil end
        is_data = false
      elseif line == "DATA" then
        is_data = true
        return "354 go on"
      end
      return "250 fine"
    end)
    local _, port = server:getsockname()
    loop.spawn(function()
      assert(smtp.send {
        from = "<a@localhost>", rcpt = "<b@localhost>", server = "127.0.0.1", port = port,
        source = smtp.message { headers = { subject = "test" }, body = "the text" },
      })
      server:close()
    end)
    loop.run()
    assert.truthy(table.concat(text, "\n"):find("\nthe text\n", 1, true))
  end)

  it("gives files by LuaSocket's ftp, with a connection for their data", function()
    local ftp = require "socket.ftp"
    local content = ("a line of the file\n"):rep(20000)
    local data_server
    local server = scripted("220 ready", function(line, connection)
      local command = line:match "^%a+":lower()
      if command == "user" then return "331 password" end
      if command == "pass" then return "230 fine" end
      if command == "pasv" or command == "epsv" then
        data_server = assert(loop.bind("127.0.0.1", 0))
        local _, port = data_server:getsockname()
        port = tonumber(port)
        if command == "epsv" then return ("229 on (|||%d|)"):format(port) end
        return ("227 on (127,0,0,1,%d,%d)"):format(math.floor(port / 256), port % 256)
      end
      if command == "retr" then
        connection:send "150 here it comes\r\n"
        local data = assert(data_server:accept())
        assert(data:send(content))
        data:close()
        data_server:close()
        return "226 all of it"
      end
      return "200 fine"
    end)
    local _, port = server:getsockname()
    local got
    loop.spawn(function()
      got = assert(ftp.get(("ftp://me:word@127.0.0.1:%d/file;type=i"):format(port)))
      server:close()
    end)
    loop.run()
    assert.is_true(got == content)
  end)

  it("is not impressed by clients that stall, leave or send garbage", function()
    local log, waiting = {}, {}
    local server = assert(loop.newserver("127.0.0.1", 0, function(connection)
      local thread = coro.current()
      waiting[thread] = true
      local line, err, partial = connection:receive()
      waiting[thread] = nil
      if line then
        connection:send(line:upper() .. "\n")
      else
        table.insert(log, err .. " " .. #partial)
      end
      connection:close()
    end))
    local _, port = server:getsockname()
    loop.spawn(function()
      local leaves = assert(loop.connect("127.0.0.1", port))
      leaves:send "half a"
      leaves:close()
      local stalls = assert(loop.connect("127.0.0.1", port))
      stalls:send "stall"
      local sends_garbage = assert(loop.connect("127.0.0.1", port))
      sends_garbage:send(("\0\255\r"):rep(1000) .. "\n")
      table.insert(log, (sends_garbage:receive()))
      local good = assert(loop.connect("127.0.0.1", port))
      good:send "good\n"
      table.insert(log, (good:receive()))
      -- All the others are served; the one that stalls is given up.
      assert(loop.cancel((next(waiting))))
      assert(not stalls:receive())
      for _, connection in ipairs { stalls, sends_garbage, good } do connection:close() end
      server:close()
    end)
    loop.run()
    assert.are.same({ "closed 6", ("\0\255"):rep(1000):upper(), "GOOD", "cancelled 5" }, log)
  end)
end)
