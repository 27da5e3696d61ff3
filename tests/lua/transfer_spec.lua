local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack

describe("transfer", function()
  fixture.leaves_nothing(before_each, after_each)

  it("starts a thread with the values as arguments", function()
    local got
    local thread = coro.create(function(...)
      got = pack(...)
      coro.transfer(nil)
    end)
    coro.transfer(thread, 1, nil, "three", nil)
    assert.are.same({ n = 4, 1, nil, "three", nil }, got)
  end)

  it("returns the values that the caller is continued with", function()
    local thread = coro.create(function() coro.transfer(nil, "a", nil, nil) end)
    assert.are.same({ n = 3, "a" }, pack(coro.transfer(thread)))
  end)

  it("continues a thread suspended in transfer", function()
    local thread = coro.create(function(x)
      while true do x = coro.transfer(nil, x + 1) end
    end)
    assert.are.equal(2, coro.transfer(thread, 1))
    assert.are.equal(11, coro.transfer(thread, 10))
    assert.are.equal(101, coro.transfer(thread, 100))
  end)

  it("goes from any thread to any other", function()
    local trace = {}
    local a, b, c
    a = coro.create(function()
      trace[#trace + 1] = "a"
      coro.transfer(b)
      trace[#trace + 1] = "a again"
      coro.transfer(c)
    end)
    b = coro.create(function()
      trace[#trace + 1] = "b"
      coro.transfer(a)
    end)
    c = coro.create(function()
      trace[#trace + 1] = "c"
      coro.transfer(nil)
    end)
    coro.transfer(a)
    assert.are.same({ "a", "b", "a again", "c" }, trace)
  end)

  it("takes main as nil, as nothing and as the main thread", function()
    local thread = coro.create(function()
      coro.transfer(nil, 1)
      coro.transfer()
      coro.transfer(coro.main, 3)
    end)
    assert.are.same({ n = 1, 1 }, pack(coro.transfer(thread)))
    assert.are.same({ n = 0 }, pack(coro.transfer(thread)))
    assert.are.same({ n = 1, 3 }, pack(coro.transfer(thread)))
  end)

  it("continues a thread suspended in yield, whose yield returns the values", function()
    local got
    local thread = coro.create(function()
      got = pack(coro.yield "yielded")
      coro.transfer(nil)
    end)
    assert.are.equal("yielded", select(2, coro.resume(thread)))
    coro.transfer(thread, 1, nil)
    assert.are.same({ n = 2, 1 }, got)
  end)

  it("continues a thread suspended in resume, which returns true and the values", function()
    local got
    local inner = coro.create(function() coro.transfer(nil) end)
    local outer = coro.create(function()
      got = pack(coro.resume(inner))
      coro.transfer(nil)
    end)
    coro.transfer(outer)
    coro.transfer(outer, "x", nil)
    assert.are.same({ n = 3, true, "x" }, got)
  end)

  it("continues a thread suspended in a wrap function, which returns the values", function()
    local got
    local outer = coro.create(function()
      got = pack(coro.wrap(function() coro.transfer(nil) end)())
      coro.transfer(nil)
    end)
    coro.transfer(outer)
    coro.transfer(outer, "x", nil)
    assert.are.same({ n = 2, "x" }, got)
  end)

  for _, n in ipairs { 0, 1, 5, 12, 13, 14, 15, 20, 40, 200, 5000 } do
    it("passes " .. n .. " values both ways, the first time and later", function()
      local values = {}
      for i = 1, n do values[i] = i % 7 ~= 0 and i or nil end
      local thread = coro.create(function(...)
        local arguments = pack(...)
        while true do
          arguments = pack(coro.transfer(nil, unpack(arguments, 1, arguments.n)))
        end
      end)
      for _ = 1, 3 do
        local back = pack(coro.transfer(thread, unpack(values, 1, n)))
        assert.are.equal(n, back.n)
        for i = 1, n do assert.are.equal(values[i], back[i]) end
      end
    end)
  end

  it("passes many values while the collector is at its most eager", function()
    local pause, multiplier = collectgarbage("setpause", 0), collectgarbage("setstepmul", 100000)
    local values = {}
    for i = 1, 5000 do values[i] = i end
    local thread = coro.create(function(...)
      local n = select("#", ...)
      while true do n = select("#", coro.transfer(nil, n)) end
    end)
    for n = 100, 5000, 100 do
      assert.are.equal(n, coro.transfer(thread, unpack(values, 1, n)))
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
  end)

  it("keeps the identity of what it passes", function()
    local t, f = {}, function() end
    local thread = coro.create(function(...) coro.transfer(nil, ...) end)
    local t2, f2, thread2 = coro.transfer(thread, t, f, thread)
    assert.are.equal(t, t2)
    assert.are.equal(f, f2)
    assert.are.equal(thread, thread2)
  end)

  it("runs a ring of a thousand threads", function()
    local threads, n, sum = {}, 1000, 0
    for i = 1, n do
      threads[i] = coro.create(function()
        for _ = 1, 3 do
          sum = sum + i
          coro.transfer(threads[i % n + 1])
        end
        coro.transfer(nil)
      end)
    end
    coro.transfer(threads[1])
    assert.are.equal(3 * n * (n + 1) / 2, sum)
  end)

  describe("raises at the caller, with nothing switched,", function()
    local function refuses(message, ...)
      local before = coro.stats().switches
      local ok, err = pcall(coro.transfer, ...)
      assert.is_false(ok)
      assert.matches(message, err)
      assert.are.equal(before, coro.stats().switches)
    end

    it("for what is not a thread", function()
      refuses("bad argument #1 to '.*' %(thread or nil expected, got number%)", 1)
      refuses("thread or nil expected, got function", function() end)
      refuses("thread or nil expected, got table", {})
      refuses("thread or nil expected, got boolean", false)
    end)

    it("for the current thread", function()
      refuses("cannot transfer to the current coroutine", coro.main)
      refuses("cannot transfer to the current coroutine", nil)
      local thread
      thread = coro.create(function()
        refuses("cannot transfer to the current coroutine", thread)
        coro.transfer(nil)
      end)
      coro.transfer(thread)
    end)

    it("for a dead thread", function()
      local finished = coro.create(function() end)
      coro.resume(finished)
      refuses("cannot transfer to dead coroutine", finished)
      local failed = coro.create(error)
      coro.resume(failed)
      refuses("cannot transfer to dead coroutine", failed)
    end)

    it("for a thread that runs another one by a standard resume", function()
      local outer
      outer = coro.create(function()
        fixture.standard.wrap(function()
          refuses("runs another one by a standard resume", outer)
        end)()
        coro.transfer(nil)
      end)
      coro.transfer(outer)
    end)

    it("and the caller goes on", function()
      local thread = coro.create(function()
        local ok = pcall(coro.transfer, 1)
        coro.transfer(nil, ok)
      end)
      assert.is_false(coro.transfer(thread))
    end)

    it("for more values than the target's Lua stack can hold", function()
      local values = {}
      local is_51 = fixture.lua == "luajit" or fixture.lua == "Lua 5.1"
      for i = 1, is_51 and 7990 or 400000 do values[i] = i end
      -- Not a tail call: each level takes slots of the target's stack.
      local function nest(depth)
        if depth == 0 then return coro.transfer(nil) end
        local _, _, _, _ = depth, depth, depth, depth
        return (nest(depth - 1))
      end
      local thread = coro.create(function()
        nest(is_51 and 1 or 140000)
        coro.transfer(nil, "went on")
      end)
      coro.transfer(thread)
      local ok, err = pcall(coro.transfer, thread, unpack(values))
      assert.is_false(ok)
      assert.matches("too many values to transfer", err)
      assert.are.equal("went on", coro.transfer(thread))
    end)
  end)
end)
