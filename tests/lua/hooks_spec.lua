local fixture = require "fixture"
local coro = fixture.coro

describe("debug hooks", function()
  fixture.leaves_nothing(before_each, after_each)
  after_each(function() debug.sethook() end)

  local function busy(n)
    local x = 0
    for i = 1, n do x = x + i end
    return x
  end

  it("of the creating thread are copied, as the standard create does", function()
    debug.sethook(function() end, "r", 12345)
    local thread, standard = coro.create(function() end), fixture.standard.create(function() end)
    debug.sethook()
    local expected, got = fixture.pack(debug.gethook(standard)), fixture.pack(debug.gethook(thread))
    assert.are.same(expected, got)
  end)

  it("may transfer, and go on afterwards", function()
    if jit then jit.off() end -- compiled code calls no hooks
    local transfers, nested, is_inside, thread = 0, 0, false, nil
    thread = coro.create(function()
      debug.sethook(function()
        if coro.current() == thread then
          if is_inside then nested = nested + 1 end
          transfers = transfers + 1
          coro.transfer(nil, "from the hook")
          is_inside = true
          busy(1000) -- no hook is called inside of one
          is_inside = false
        end
      end, "", 100)
      local result = busy(1000)
      debug.sethook()
      coro.transfer(nil, result)
    end)
    local got
    repeat
      got = coro.transfer(thread)
      -- Meanwhile errors still reach threads that were unmounted.
      local other = coro.create(function()
        coro.transfer(nil, pcall(function() coro.transfer(nil) end))
      end)
      coro.transfer(other)
      assert.is_false((coro.throw(other, "x")))
    until got ~= "from the hook"
    if jit then jit.on() end
    assert.are.equal(500500, got)
    assert.is_true(transfers >= 3)
    assert.are.equal(0, nested)
  end)

  it("count, in a thread that is left and continued", function()
    if jit then jit.off() end
    local counted = 0
    local thread = coro.create(function()
      for _ = 1, 5 do
        busy(1000)
        coro.yield()
      end
    end)
    debug.sethook(thread, function()
      if coro.current() == thread then counted = counted + 1 end
    end, "", 100)
    for _ = 1, 5 do
      local before = counted
      assert.is_true((coro.resume(thread)))
      assert.is_true(counted - before >= 9)
    end
    debug.sethook(thread)
    if jit then jit.on() end
  end)

  it("see none of the calls that coro makes for itself", function()
    if jit then jit.off() end
    -- The C functions that are called in main and in the thread.
    local function events(thread, f, ...)
      local seen = {}
      local function hook()
        local func = debug.getinfo(2, "f").func
        if debug.getinfo(func, "S").what == "C" then seen[#seen + 1] = func end
      end
      debug.sethook(thread, hook, "c")
      debug.sethook(hook, "c")
      f(...)
      debug.sethook()
      debug.sethook(thread)
      return { fixture.unpack(seen, jit and 2 or 1) } -- on LuaJIT the second sethook is seen
    end
    local values = {}
    for i = 1, 100 do values[i] = i end
    local unpack = fixture.unpack
    local thread = coro.create(function(...)
      coro.yield()
      error { ... }
    end)
    assert.are.same({ unpack, coro.resume, coro.yield, debug.sethook },
                    events(thread, function() coro.resume(thread, unpack(values)) end))
    assert.are.same({ coro.resume, error, debug.sethook },
                    events(thread, coro.resume, thread))
    if jit then jit.on() end
  end)

  it("may run generators", function()
    if jit then jit.off() end
    local sum = 0
    debug.sethook(function()
      for value in
        coro.wrap(function()
          coro.yield(1)
          coro.wrap(function() coro.yield(2) end)()
        end)
      do
        sum = sum + value
      end
    end, "", 1000)
    busy(5000)
    debug.sethook()
    if jit then jit.on() end
    assert.is_true(sum > 0)
  end)
end)
