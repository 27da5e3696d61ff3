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
    local transfers, thread = 0, nil
    thread = coro.create(function()
      debug.sethook(function()
        if coro.current() == thread then
          transfers = transfers + 1
          coro.transfer(nil, "from the hook")
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

describe("debug functions on suspended threads", function()
  fixture.leaves_nothing(before_each, after_each)

  for name, wait in pairs {
    transfer = function() coro.transfer(nil) end,
    ["transfer inside sort"] = function()
      table.sort({ 2, 1 }, function(a, b)
        coro.transfer(nil)
        return a < b
      end)
    end,
  } do
    it("show where it waits in " .. name, function()
      local thread = coro.create(function()
        local known_local = 42
        wait()
        return known_local
      end)
      coro.transfer(thread)
      assert.matches("hooks_spec.lua:%d+", debug.traceback(thread))
      local seen
      for level = 0, 10 do
        local info = debug.getinfo(thread, level, "S")
        if not info then break end
        local first, value = debug.getlocal(thread, level, 1)
        if first == "known_local" then seen = value end
      end
      assert.are.equal(42, seen)
      coro.close(thread)
    end)
  end
end)
