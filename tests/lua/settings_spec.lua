local fixture = require "fixture"
local coro = fixture.coro

describe("configure", function()
  fixture.leaves_nothing(before_each, after_each)

  it("returns the settings in force", function()
    local settings = coro.configure()
    for _, name in ipairs { "stack_size", "max_stacks", "warm_stacks", "max_depth" } do
      assert.are.equal("number", type(settings[name]))
      settings[name] = nil
    end
    assert.is_nil(next(settings))
  end)

  it("changes what it is given and nothing else", function()
    local before = coro.configure()
    local after = coro.configure { max_depth = 333 }
    assert.are.equal(333, after.max_depth)
    assert.are.equal(before.max_stacks, after.max_stacks)
    assert.are.same(before, coro.configure(before))
  end)

  it("is obeyed", function()
    local before = coro.configure { max_depth = 250 }
    local depth = 0
    local function f()
      depth = depth + 1
      coro.wrap(f)()
    end
    assert.has_error(f)
    assert.are.equal(251, depth)
    coro.configure { max_depth = 1000, warm_stacks = before.warm_stacks }
  end)

  it("takes another stack size for new C stacks", function()
    local before = coro.configure()
    coro.configure { stack_size = before.stack_size * 2 }
    assert.are.equal(before.stack_size * 2, coro.stats().stack_size)
    assert.are.equal(1, coro.wrap(function() coro.yield(1) end)())
    coro.configure(before)
  end)

  it("raises for unknown settings and bad values, and changes nothing", function()
    local before = coro.configure()
    local bad = {
      { stacksize = 1 },
      { [1] = 2 },
      { [{}] = 2 },
      { stack_size = 4096 },
      { stack_size = -1 },
      { stack_size = "2000000" },
      { stack_size = 1e18 },
      { max_stacks = 0 },
      { max_stacks = 1.5 },
      { max_stacks = 0 / 0 },
      { max_depth = 10, max_stacks = 100 },
      { warm_stacks = {} },
      { warm_stacks = false },
    }
    for _, settings in ipairs(bad) do
      assert.has_error(function() coro.configure(settings) end)
      assert.are.same(before, coro.configure())
    end
    for _, value in ipairs { 1, "x", true } do
      assert.has_error(function() coro.configure(value) end)
    end
  end)

  it("names the setting and its limits", function()
    local ok, err = pcall(coro.configure, { max_stacks = -1 })
    assert.is_false(ok)
    assert.matches("max_stacks must be an integer from 1 to %d+", err)
    ok, err = pcall(coro.configure, { max_stakcs = 1 })
    assert.is_false(ok)
    assert.matches("unknown setting 'max_stakcs'", err)
  end)
end)

describe("stats", function()
  fixture.leaves_nothing(before_each, after_each)

  it("counts threads, mounted and pinned ones, C stacks and switches", function()
    local before = coro.stats()
    local pinned = coro.create(function()
      table.sort({ 2, 1 }, function() coro.transfer(nil) end)
    end)
    local plain = coro.create(function() coro.transfer(nil) end)
    local fresh = coro.create(function() end)
    coro.transfer(pinned)
    coro.transfer(plain)
    local stats = coro.stats()
    local warm = coro.configure().warm_stacks > 0 and 1 or 0
    assert.are.equal(before.threads + 3, stats.threads)
    assert.are.equal(before.pinned + 1, stats.pinned)
    assert.are.equal(before.mounted + 1 + warm, stats.mounted)
    assert.are.equal(before.stacks_in_use + 1 + warm, stats.stacks_in_use)
    assert.are.equal(before.switches + 4, stats.switches)
    assert.are.equal(coro.configure().stack_size, stats.stack_size)
    assert.are.equal(coro.configure().max_stacks, stats.stacks_limit)
    coro.resume(fresh)
    assert.are.equal(before.threads + 2, coro.stats().threads)
  end)

  it("counts ten thousand threads, dead ones not", function()
    local before, threads = coro.stats().threads, {}
    for i = 1, 10000 do
      threads[i] = coro.create(function() end)
      if i % 2 == 0 then coro.resume(threads[i]) end
    end
    assert.are.equal(before + 5000, coro.stats().threads)
    threads = nil -- luacheck: ignore
  end)

  it("counts threads that come where others were collected", function()
    local before, threads = coro.stats().threads, {}
    local living, random = 0, 12345
    for round = 1, 20 do
      for i = 1, 997 do
        random = random * 16807 % 2147483647
        local wanted = random % 7 > round % 5 or nil
        living = living + (wanted and 1 or 0) - (threads[i] and 1 or 0)
        threads[i] = wanted and coro.create(print)
      end
      fixture.collect()
      assert.are.equal(before + living, coro.stats().threads)
    end
  end)

  it("are integers", function()
    for _, value in pairs(coro.stats()) do
      assert.are.equal("number", type(value))
      assert.are.equal(value, math.floor(value))
    end
  end)
end)
