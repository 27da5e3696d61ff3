local fixture = require "fixture"

local finalizer = [[
  function finalizer(f)
    if newproxy then
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = f
      return proxy
    end
    return setmetatable({}, { __gc = f })
  end
]]

local prelude = finalizer .. [[
  local coro = require "coro"
  require "mode".relax() -- 5.3 hangs where a finalizer collects garbage in the middle of a cycle
  local function in_sort(wait)
    table.sort({ 3, 2, 1 }, function(a, b) wait() return a < b end)
  end
  function suspend_many(n)
    local threads = {}
    for i = 1, n do
      local plain = coro.create(function() coro.transfer(nil) end)
      local pinned = coro.create(function() in_sort(coro.transfer) end)
      local nested = coro.create(function() coro.wrap(function() in_sort(coro.transfer) end)() end)
      coro.transfer(plain)
      coro.transfer(pinned)
      coro.transfer(nested)
      threads[i] = { plain, pinned, nested }
    end
    return threads
  end
]]

local clean = "^end of program\nexit status 0\n$"

describe("closing the Lua state", function()
  it("works with many suspended threads", function()
    assert.matches(clean, fixture.run(prelude .. "kept = suspend_many(200)"))
  end)

  it("works right after require, and before anything was started", function()
    assert.matches(clean, fixture.run "require 'coro'")
  end)

  it("works by os.exit inside a coroutine inside a sort", function()
    local output = fixture.run(prelude .. [[
      kept = suspend_many(50)
      coro.transfer(coro.create(function()
        in_sort(function() os.exit(7, true) end)
      end))
    ]])
    assert.matches("^exit status 7\n$", output)
  end)

  it("works by os.exit inside generators inside a coroutine", function()
    local output = fixture.run(prelude .. [[
      kept = suspend_many(50)
      coro.wrap(function()
        coro.wrap(function() os.exit(0, true) end)()
      end)()
    ]])
    assert.matches("^exit status 0\n$", output)
  end)

  it("works with finalizers that use coro, made before and after it was required", function()
    local output = fixture.run(finalizer .. [[
      local use
      early = finalizer(function() use "early" end)
    ]] .. prelude .. [[
      kept = suspend_many(5)
      function use(name)
        for _, threads in ipairs(kept) do
          for _, thread in ipairs(threads) do
            coro.status(thread)
            pcall(coro.transfer, thread)
            pcall(coro.resume, thread)
            pcall(coro.close, thread)
          end
        end
        pcall(coro.wrap(function() coro.yield() end))
        coro.stats()
        coro.create(print)
        io.write(name, " done\n")
      end
      late = finalizer(function() use "late" end)
    ]])
    assert.matches("^end of program\n", output)
    assert.matches("late done\n", output)
    assert.matches("early done\n", output)
    assert.matches("exit status 0\n$", output)
  end)

  it("works with finalizers that collect garbage in generators", function()
    local output = fixture.run(prelude .. [[
      kept = suspend_many(5)
      last = finalizer(function()
        local inner = coro.wrap(function()
          coro.yield(1)
          collectgarbage() -- where the version runs all other finalizers, coro's own included
          coro.yield(2)
        end)
        local outer = coro.wrap(function() for i in inner do coro.yield(i) end end)
        io.write(outer(), " ", outer(), "\n")
        pcall(outer)
      end)
      collectgarbage() -- 5.3 does not come back from that one where a cycle is in progress
      collectgarbage "stop"
    ]])
    assert.matches("^end of program\n1 2\nexit status 0\n$", output)
  end)

  it("refuses to finalizers that come after coro's what needs a C stack", function()
    local output = fixture.run(finalizer .. [[
      local use
      early = finalizer(function() use() end)
    ]] .. prelude .. [[
      function use()
        local thread = coro.create(function() in_sort(coro.yield) end)
        local ok, err = coro.resume(thread)
        io.write(ok and "resumed" or err, "\n")
      end
    ]])
    local outcome = output:match "^end of program\n([^\n]*)\nexit status 0\n$"
    assert.are.equal("cannot run a coroutine while the Lua state is being closed", outcome)
  end)

  it("leaves to finalizers what the statuses are", function()
    local output = fixture.run(finalizer .. [[
      local statuses
      last = finalizer(function() io.write(statuses(), "\n") end)
    ]] .. prelude .. [[
      local fresh, dead = coro.create(print), coro.create(function() end)
      coro.resume(dead)
      local pinned = coro.create(function() in_sort(coro.yield) end)
      coro.resume(pinned)
      function statuses()
        return coro.status(fresh) .. " " .. coro.status(dead) .. " " .. coro.status(pinned)
      end
    ]])
    assert.matches("^end of program\nsuspended dead dead\nexit status 0\n$", output)
  end)

  it("works with finalizers that use coro when a coroutine ends the program", function()
    local output = fixture.run(prelude .. [[
      kept = suspend_many(5)
      late = finalizer(function()
        pcall(coro.transfer, kept[1][1])
        pcall(coro.resume, kept[1][2])
        pcall(coro.wrap(function() coro.yield() end))
      end)
      coro.transfer(coro.create(function() in_sort(function() os.exit(3, true) end) end))
    ]])
    assert.matches("^exit status 3\n$", output)
  end)

  it("works after an error in main that a coroutine caused", function()
    local output = fixture.run(prelude .. [[
      kept = suspend_many(5)
      coro.transfer(coro.create(function() error("for main") end))
    ]])
    assert.matches("for main", output)
    assert.matches("exit status 1\n$", output)
  end)
end)

describe("a program that requires coro in a coroutine first", function()
  it("finds main all the same", function()
    local output = fixture.run [[
      local results
      local inside = coroutine.create(function()
        local coro = require "coro"
        assert(coro.current() ~= coro.main)
        local thread = coro.create(function() coro.transfer(nil, "from a thread") end)
        results = { coro.transfer(thread), coro.status(coro.main) }
        coroutine.yield(coro)
      end)
      local ok, coro = coroutine.resume(inside)
      assert(ok, coro)
      assert(coro.current() == nil and coro.status(coro.main) == "running")
      io.write(results[1], " ", results[2], "\n")
    ]]
    assert.matches("^from a thread normal\nend of program\nexit status 0\n$", output)
  end)
end)
