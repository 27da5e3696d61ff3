-- The loop and fork: neither process disturbs the other.
local fixture = require "fixture"

-- Runs a program with functions to fork with; what it prints, both processes in turn.
local function run(program)
  return (fixture.run([[
    io.stdout:setvbuf "no"
    local forking, loop, peers = require "forking", require "coro.loop", require "peers"
    -- Runs f in a child, to the end of the program, and waits for that.
    local function in_child(f)
      local pid = forking.fork()
      if pid ~= 0 then return print("child", forking.wait(pid)) end
      f()
      os.exit(0, true)
    end
    local function own_pid()
      local file = io.open "/proc/self/stat"
      local pid = file:read "*n"
      file:close()
      return ("%d"):format(pid)
    end
    local function signal(pid) os.execute("kill -USR1 " .. pid) end
  ]] .. program):gsub("end of program\nexit status 0\n$", ""))
end

describe("a forked child", function()
  it("that ends, by itself or by os.exit, leaves its parent what it waits for", function()
    assert.are.equal("child\t0\nline\ttrue\n", run [[
      local a, b = peers.connected(loop)
      local line, signalled
      loop.spawn(function() line = b:receive() end)
      loop.spawn(function() signalled = loop.signal "USR1" end)
      loop.step(0)
      in_child(function() end)
      a:send "line\n"
      signal(own_pid())
      loop.run()
      print(line, signalled)
    ]])
  end)

  it("closes sockets and sleeps without its parent's knowledge", function()
    assert.are.equal("nil\tclosed\nslept\nchild\t0\nline\tnil\n", run [[
      local a, b = peers.connected(loop)
      loop.spawn(function()
        local line, err = b:receive()
        print(line, err)
      end)
      loop.step(0)
      in_child(function()
        b:close()
        loop.timeout(0.001, function() print "slept" end)
        loop.run()
      end)
      loop.timeout(0.002, function() a:send "line\n" end)
      loop.run()
    ]])
  end)

  it("may close them behind the loop's back", function()
    assert.are.equal("nil\tclosed\nchild\t0\nline\n", run [[
      local a, b = peers.connected(loop)
      assert(not loop.wait(b, "r", 0))
      b:settimeout(0.001)
      assert(not b:receive())
      in_child(function()
        b[1]:close()
        print(loop.wait(b, "r"))
      end)
      a:send "line\n"
      print((b:receive()))
    ]])
  end)

  it("serves and connects", function()
    assert.are.equal("a\nb\nchild\t0\n", run [[
      local server = loop.newserver("127.0.0.1", 0, function(connection)
        connection:send(connection:receive() .. "\n")
        connection:close()
      end)
      local _, port = server:getsockname()
      loop.step(0)
      in_child(function()
        local left = 2
        for _, text in ipairs { "a", "b" } do
          loop.spawn(function()
            local connection = assert(loop.connect("127.0.0.1", port))
            connection:send(text .. "\n")
            print((connection:receive()))
            left = left - 1
            if left == 0 then server:close() end
          end)
        end
        loop.run()
      end)
    ]])
  end)

  it("continues the threads of its parent without what it closed behind the loop's back", function()
    assert.are.equal("nil\tclosed\ntrue\tnil\nchild\t0\ntrue\tnil\ntrue\tnil\n", run [[
      local socket = require "socket"
      local a, b = peers.connected(socket)
      local c, d = peers.connected(socket)
      for _, each in ipairs { b, d } do
        loop.spawn(function() print(loop.wait(each, "r")) end)
      end
      loop.step(0)
      c:send "line\n"
      in_child(function()
        b:close()
        loop.run()
      end)
      loop.timeout(0, function() a:send "line\n" end)
      loop.run()
    ]])
  end)

  it("has signals of its own once it has used the loop", function()
    assert.are.equal("true\nchild\t0\nnil\ttimeout\n", run [[
      loop.signal("USR1", 0)
      in_child(function()
        loop.sleep(0)
        signal(own_pid())
        print((loop.signal "USR1"))
      end)
      print(loop.signal("USR1", 0.01))
    ]])
  end)

  -- Tools that look for leaks say that the OS thread of the parent left something.
  it("looks up names though its parent did before, and ends", function()
    local output = run [[
      local function look_up() print(assert(loop.resolve("127.0.0.1", 80))[1].addr) end
      assert(loop.resolve "127.0.0.1")
      in_child(look_up)
      look_up()
    ]]
    assert.truthy(output:find "^127%.0%.0%.1\n.*child\t%d+\n127%.0%.0%.1\n", output)
  end)
end)
