-- await: a coroutine waits for a callback.
local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack
local uv = require "luv"

-- Runs f in a thread that ends by going to main.
local function start(f, ...)
  local thread = coro.create(function(...) return coro.transfer(nil, f(...)) end)
  return thread, pack(coro.transfer(thread, ...))
end

describe("await", function()
  fixture.leaves_nothing(before_each, after_each)

  it("suspends the caller until its callback is called, and returns what that gets", function()
    local resume
    local got
    local _, passed = start(function() got = pack(coro.await(function(r) resume = r end)) end)
    assert.are.same({ n = 0 }, passed)
    assert.is_nil(got)
    resume(1, nil, nil)
    assert.are.same({ n = 3, 1 }, got)
  end)

  it("returns at once if the callback is called at once", function()
    local switches = coro.stats().switches
    local _, results = start(function()
      return coro.await(function(resume) resume(nil, 2, nil) end)
    end)
    assert.are.same({ n = 3, nil, 2 }, results)
    assert.are.equal(2, coro.stats().switches - switches)
  end)

  it("ignores further calls", function()
    local resume, count = nil, 0
    start(function()
      coro.await(function(r) resume = r end)
      count = count + 1
      coro.transfer(nil)
      count = count + 1
    end)
    resume()
    assert.are.equal(0, select("#", resume()))
    assert.are.equal(1, count)
  end)

  it("waits on if its callback cannot continue it", function()
    local resume, got
    start(function() got = pack(coro.await(function(r) resume = r end)) end)
    local values = {}
    local too_many = _VERSION == "Lua 5.1" and 7990 or 600000
    for i = 1, too_many do values[i] = i end
    assert.is_false(pcall(resume, fixture.unpack(values, 1, too_many)))
    assert.is_nil(got)
    resume "after all"
    assert.are.same({ n = 1, "after all" }, got)
  end)

  it("refuses what is no function, and blames who called it", function()
    local thread = coro.create(function()
      coro.transfer(nil, pcall(function() coro.await(42) end))
    end)
    local _, err = coro.transfer(thread)
    assert.matches("^[^:]+await_spec%.lua:%d+: bad argument #1 to 'await' %(function expected", err)
  end)

  it("returns to the callback when the coroutine waits next", function()
    local resume
    local thread = start(function()
      coro.await(function(r) resume = r end)
      coro.transfer(nil, "to the callback")
    end)
    assert.are.equal("to the callback", resume())
    assert.are.equal("suspended", coro.status(thread))
  end)

  it("works in a generator, whose resumer stays who it is", function()
    local resume, got
    start(function()
      local values = {}
      for value in coro.wrap(function()
        for _ = 1, 2 do coro.yield(coro.await(function(r) resume = r end)) end
      end) do values[#values + 1] = value end
      got = values
    end)
    resume "a"
    resume "b"
    assert.are.same({ "a", "b" }, got)
  end)

  it("is over when somebody else continued the coroutine, by values or an error", function()
    local resume, log = nil, {}
    local thread = start(function()
      for _ = 1, 2 do
        table.insert(log, pack(pcall(coro.await, function(r) resume = r end)))
        coro.transfer(nil)
      end
    end)
    coro.transfer(thread, "from somebody")
    resume "too late"
    coro.transfer(thread)
    coro.throw(thread, "thrown")
    resume "too late"
    assert.are.same({ { n = 2, true, "from somebody" }, { n = 2, false, "thrown" } }, log)
    coro.transfer(thread)
  end)

  it("is over when the coroutine was closed", function()
    local resume
    local thread = start(function() coro.await(function(r) resume = r end) end)
    assert.is_true(coro.close(thread))
    resume()
    assert.are.equal("dead", coro.status(thread))
  end)

  it("raises in main, and what its function raises", function()
    assert.has_error(function() coro.await(function() end) end,
      "attempt to await in main, which cannot be left")
    local _, results = start(function()
      return pcall(coro.await, function() error("of mine", 0) end)
    end)
    assert.are.same({ n = 2, false, "of mine" }, results)
  end)

  it("makes the callbacks of luv blocking calls", function()
    local log = {}
    for i = 1, 2 do
      start(function()
        local stat_err, stat = coro.await(function(resume) uv.fs_stat(arg[0], resume) end)
        assert(stat, stat_err)
        local timer = uv.new_timer()
        coro.await(function(resume) timer:start(i, 0, resume) end)
        timer:close()
        table.insert(log, i)
      end)
    end
    uv.run()
    table.sort(log) -- whose file is looked at first is up to luv's threads
    assert.are.same({ 1, 2 }, log)
  end)
end)
