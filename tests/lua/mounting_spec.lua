local fixture = require "fixture"
local waiting = require "waiting"
local coro, collect = fixture.coro, fixture.collect

local function generator()
  return coro.wrap(function()
    while true do
      coro.yield(1)
    end
  end)
end

local function sleeper()
  local thread = coro.create(function()
    while true do
      coro.transfer(nil)
    end
  end)
  coro.transfer(thread)
  return thread
end

local function ring(size, rounds)
  local threads, left = {}, rounds
  for i = 1, size do
    threads[i] = coro.create(function()
      while left > 0 do
        if i == 1 then left = left - 1 end
        coro.transfer(threads[i % size + 1])
      end
      coro.transfer(nil)
    end)
  end
  coro.transfer(threads[1])
  return threads
end

describe("threads that could be unmounted", function()
  fixture.leaves_nothing(before_each, after_each)

  local warm_stacks
  before_each(function() warm_stacks = coro.configure().warm_stacks end)
  after_each(function() coro.configure { warm_stacks = warm_stacks } end)

  it("hold no C stack with warm_stacks = 0", function()
    coro.configure { warm_stacks = 0 }
    local mounted = coro.stats().mounted
    local threads = ring(10, 3)
    assert.are.equal(mounted, coro.stats().mounted)
    assert.are.equal("suspended", coro.status(threads[5]))
  end)

  it("hold none in a C function that left", function()
    coro.configure { warm_stacks = 0 }
    local mounted = coro.stats().mounted
    local threads = {}
    for i = 1, 100 do
      threads[i] = coro.create(function() return waiting.leave(nil, 1, "kept") end)
      coro.transfer(threads[i])
      assert.are.equal(1, waiting.mark_of(threads[i]))
    end
    assert.are.equal(mounted, coro.stats().mounted)
  end)

  it("are found after so many switches that their tickets begin anew", function()
    local function hop()
      while true do coro.transfer(nil) end
    end
    require "mode".relax() -- there are many switches
    local hopping = coro.create(hop)
    for _ = 1, 8500000 do coro.transfer(hopping) end
    coro.configure { warm_stacks = 0 }
    local mounted = coro.stats().mounted
    local threads = ring(10, 3)
    for _, thread in ipairs(threads) do assert.are.equal("suspended", coro.status(thread)) end
    assert.are.equal(mounted, coro.stats().mounted)
    coro.transfer(hopping)
  end)

  it("hold no more than warm_stacks", function()
    coro.configure { warm_stacks = 4 }
    local mounted = coro.stats().mounted
    local threads = ring(50, 30)
    assert.are.equal(mounted + 4, coro.stats().mounted)
    assert.are.equal(50, #threads)
  end)

  it("take the place of one that sleeps when they come back again and again", function()
    coro.configure { warm_stacks = 2 }
    local mounted = coro.stats().mounted
    local sleepers = { sleeper(), sleeper() }
    assert.are.equal(mounted + 2, coro.stats().mounted)
    local hot = generator()
    for _ = 1, 100 do
      hot()
    end
    assert.are.equal(mounted + 2, coro.stats().mounted)
    for _, thread in ipairs(sleepers) do
      coro.transfer(thread)
      assert.are.equal("suspended", coro.status(thread))
    end
    sleepers = nil -- luacheck: ignore
    collect()
    assert.are.equal(mounted + 1, coro.stats().mounted)
  end)

  it("have places besides those of pinned ones", function()
    coro.configure { warm_stacks = 1 }
    local mounted = coro.stats().mounted
    local pinned = {}
    for i = 1, 5 do
      pinned[i] = coro.wrap(function()
        table.sort({ 2, 1 }, function(a, b)
          coro.yield()
          return a < b
        end)
      end)
      pinned[i]()
    end
    local hot = generator()
    hot()
    assert.are.equal(mounted + 6, coro.stats().mounted)
    assert.are.equal(5, #pinned)
  end)
end)

if jit then
  describe("LuaJIT without its compiler", function()
    it("unmounts threads as with it", function()
      local output = fixture.run(
        [[
          local coro = require "coro"
          coro.configure { warm_stacks = 0 }
          local thread = coro.create(function() coro.transfer(nil) end)
          coro.transfer(thread)
          print(coro.status(thread), coro.stats().mounted)
        ]],
        "-joff"
      )
      assert.matches("suspended\t0\n", output)
    end)
  end)
end
