-- luv: callbacks that an event loop in C makes in main.
local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack
local uv = require "luv"

-- Starts an operation whose callback continues the caller, wherever that is.
local function wait(start, ...)
  local me = coro.current()
  local arguments = pack(...)
  arguments.n = arguments.n + 1
  arguments[arguments.n] = function(...) coro.transfer(me, ...) end
  assert(start(fixture.unpack(arguments, 1, arguments.n)))
  return coro.transfer(nil) -- to the loop, which runs in main
end

local function sleep()
  local timer = uv.new_timer()
  wait(timer.start, timer, 1, 0)
  timer:close()
end

-- A thread that runs f; it is started by the loop.
local function spawn(f)
  local timer = uv.new_timer()
  local thread = coro.create(function()
    f()
    coro.transfer(nil)
  end)
  timer:start(0, 0, function()
    timer:close()
    coro.transfer(thread)
  end)
end

describe("luv", function()
  fixture.leaves_nothing(before_each, after_each)

  it("continues threads in its callbacks, which wait in generators", function()
    local sum = 0
    for _ = 1, 3 do
      spawn(function()
        for i in coro.wrap(function()
          for i = 1, 4 do
            sleep()
            coro.yield(i)
          end
        end) do sum = sum + i end
      end)
    end
    uv.run()
    assert.are.equal(30, sum)
  end)

  it("resumes threads in its callbacks, as the standard library would", function()
    local thread = coro.create(function(...)
      local got = pack(...)
      for _ = 1, 3 do got[#got + 1] = coro.yield(#got) end
      return got
    end)
    local results = {}
    local timer = uv.new_timer()
    timer:start(1, 1, function()
      results[#results + 1] = pack(coro.resume(thread, #results))
      if coro.status(thread) == "dead" then timer:close() end
    end)
    uv.run()
    assert.are.same({
      { n = 2, true, 1 },
      { n = 2, true, 2 },
      { n = 2, true, 3 },
      { n = 2, true, { n = 1, 0, 1, 2, 3 } },
    }, results)
  end)

  it("serves sockets from threads, inside functions that C calls", function()
    local function lines_of(connection)
      return coro.wrap(function()
        local me, rest, chunks, waits = coro.current(), "", {}, false
        connection:read_start(function(err, chunk)
          chunks[#chunks + 1] = chunk or err or false
          if waits then coro.transfer(me) end
        end)
        while true do
          waits = true
          if #chunks == 0 then coro.transfer(nil) end
          waits = false
          local chunk = table.remove(chunks, 1)
          if not chunk then break end
          rest = (rest .. chunk):gsub("(.-)\n", function(line)
            coro.yield(line)
            return ""
          end)
        end
      end)
    end
    local server = uv.new_tcp()
    assert(server:bind("127.0.0.1", 0))
    local port = server:getsockname().port
    local left = 2
    assert(server:listen(8, function()
      local connection = uv.new_tcp()
      assert(server:accept(connection))
      spawn(function()
        for line in lines_of(connection) do
          assert.is_nil(wait(connection.write, connection, line:upper() .. "\n"))
        end
        connection:close()
        left = left - 1
        if left == 0 then server:close() end
      end)
    end))
    local answers = { {}, {} }
    for i, lines in ipairs { { "a", "b", "c" }, { "d", "e" } } do
      spawn(function()
        local connection = uv.new_tcp()
        assert.is_nil(wait(connection.connect, connection, "127.0.0.1", port))
        local answer = lines_of(connection)
        for j, line in ipairs(lines) do
          assert.is_nil(wait(connection.write, connection, line .. "\n"))
          answers[i][j] = answer()
        end
        connection:close()
      end)
    end
    uv.run()
    assert.are.same({ { "A", "B", "C" }, { "D", "E" } }, answers)
  end)

  it("switches threads in callbacks in main while its loop runs in a thread", function()
    local log = {}
    local other = coro.create(function(...)
      table.insert(log, pack(...))
      table.insert(log, pack(coro.transfer(coro.main, "to the callback")))
      coro.transfer(nil, "to it again")
    end)
    local step = coro.wrap(function()
      for i = 1, 3 do coro.yield(i) end
    end)
    local result = coro.wrap(function()
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        assert.is_true(coro.current() == nil)
        table.insert(log, pack(step(), step()))
        table.insert(log, pack(coro.transfer(other, "started")))
        table.insert(log, pack(coro.transfer(other, "continued")))
        timer:close()
      end)
      uv.run()
      return "the loop has ended"
    end)()
    assert.are.equal("the loop has ended", result)
    assert.are.same({
      pack(1, 2),
      pack "started",
      pack "to the callback",
      pack "continued",
      pack "to it again",
    }, log)
    assert.are.equal(3, step())
    assert.are.equal("suspended", coro.status(other))
  end)

  it("leaves main where it waits for a thread that calls it back and is not done", function()
    local callback, loop
    local log = {}
    loop = coro.create(function()
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        -- main waits in transfer, below; this is main, too, and waits for `callback`
        local got = coro.transfer(callback)
        table.insert(log, got)
      end)
      uv.run()
      coro.transfer(nil, "from the loop")
    end)
    callback = coro.create(function()
      table.insert(log, coro.status(coro.main))
      coro.transfer(nil, "to the callback, not to main below it")
    end)
    assert.are.equal("from the loop", coro.transfer(loop))
    assert.are.same({ "suspended", "to the callback, not to main below it" }, log)
  end)
end)
