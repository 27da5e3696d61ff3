-- Threads of the standard library and threads of coro are of one kind: each library continues what
-- the other one made, nested in each other in any order.
local fixture = require "fixture"
local mode = require "mode"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local standard = fixture.standard

local is_51 = fixture.lua == "Lua 5.1"
local not_resumed = "attempt to yield from a coroutine that was not resumed"
local libraries = { standard = standard, coro = coro }

local function weak(...) return setmetatable({ ... }, { __mode = "v" }) end

describe("a thread that coro suspended", function()
  fixture.leaves_nothing(before_each, after_each)

  if jit or _VERSION == "Lua 5.1" then return end

  it("is refused by a standard resume, and fails or waits on", function()
    local thread = coro.create(function() return coro.transfer(nil) end)
    coro.transfer(thread)
    local ok, err = standard.resume(thread, "x")
    assert.is_false(ok)
    local was_unmounted = coro.status(thread) == "dead"
    assert.matches(was_unmounted and "was suspended by coro and must be continued by it"
                   or "cannot resume non%-suspended coroutine", err)
  end)
end)

describe("a thread made by the standard create", function()
  fixture.leaves_nothing(before_each, after_each)

  it("is started and continued by transfer", function()
    local got = {}
    local thread = standard.create(function(...)
      got[1] = pack(...)
      got[2] = pack(coro.transfer(nil, "out", nil))
      coro.transfer(nil, "end")
    end)
    assert.are.same({ n = 2, "out" }, pack(coro.transfer(thread, 1, nil)))
    assert.are.same({ n = 1, "end" }, pack(coro.transfer(thread, nil, 2)))
    assert.are.same({ { n = 2, 1 }, { n = 2, nil, 2 } }, got)
  end)

  it("is resumed to its end, yielding by either yield", function()
    local got = {}
    local thread = standard.create(function(...)
      got[1] = pack(...)
      got[2] = pack(standard.yield("standard", nil))
      got[3] = pack(coro.yield(nil, "coro"))
      return "end", nil
    end)
    assert.are.same({ n = 3, true, "standard" }, pack(coro.resume(thread, 1, nil)))
    assert.are.equal("suspended", coro.status(thread))
    assert.are.same({ n = 3, true, nil, "coro" }, pack(coro.resume(thread, nil, 2)))
    assert.are.equal("suspended", coro.status(thread))
    assert.are.same({ n = 3, true, "end" }, pack(coro.resume(thread, 3)))
    assert.are.equal("dead", coro.status(thread))
    assert.are.same({ { n = 2, 1 }, { n = 2, nil, 2 }, { n = 1, 3 } }, got)
  end)

  it("is resumed by coro after the standard resume ran it", function()
    local thread = standard.create(function(a)
      local b = standard.yield(a + 1)
      local c = coro.yield(b + 1)
      return c + 1
    end)
    assert.are.same({ n = 2, true, 2 }, pack(standard.resume(thread, 1)))
    assert.are.same({ n = 2, true, 11 }, pack(coro.resume(thread, 10)))
    assert.are.same({ n = 2, true, 101 }, pack(coro.resume(thread, 100)))
    assert.are.equal("dead", standard.status(thread))
  end)

  it("does not count the C calls that it was once resumed in", function()
    local function nest(depth, f)
      if depth == 0 then return f() end
      return (("x"):gsub("x", function() nest(depth - 1, f) end))
    end
    local reached = false
    local thread = standard.create(function()
      standard.yield()
      nest(120, function() reached = true end)
    end)
    nest(120, function() standard.resume(thread) end)
    assert.are.same({ n = 1, true }, pack(coro.resume(thread)))
    assert.is_true(reached)
  end)

  it("is transferred to after the standard resume ran it: its yield returns the values", function()
    for name, library in pairs(libraries) do
      local thread = standard.create(function()
        local got = pack(library.yield "yielded")
        coro.transfer(nil, name, unpack(got, 1, got.n))
      end)
      assert.are.same({ n = 2, true, "yielded" }, pack(standard.resume(thread)))
      assert.are.same({ n = 4, name, 1, nil, nil }, pack(coro.transfer(thread, 1, nil, nil)))
    end
  end)

  it("hands its results to the coro resumer when it ends", function()
    local thread = standard.create(function() return 1, nil, nil end)
    assert.are.same({ n = 4, true, 1, nil, nil }, pack(coro.resume(thread)))
  end)

  it("hands its error and its traceback to the coro resumer", function()
    local err = {}
    local function fails_here() error(err) end
    local thread = standard.create(function() fails_here() end)
    local got = pack(coro.resume(thread))
    assert.are.equal(3, got.n)
    assert.is_false(got[1])
    assert.are.equal(err, got[2])
    assert.matches("fails_here", got[3])
    assert.are.equal("dead", standard.status(thread))
  end)

  it("takes part in a ring with threads that coro made", function()
    local order, threads = {}, {}
    for i = 1, 4 do
      threads[i] = (i % 2 == 0 and coro or standard).create(function()
        for round = 1, 2 do
          order[#order + 1] = round * 10 + i
          coro.transfer(threads[i % 4 + 1])
        end
        coro.transfer(nil)
      end)
    end
    coro.transfer(threads[1])
    assert.are.same({ 11, 12, 13, 14, 21, 22, 23, 24 }, order)
  end)

  it("has the status that the standard gives it", function()
    local outer, inner, seen
    inner = standard.create(function()
      seen = { coro.status(inner), coro.status(outer) }
      standard.yield()
    end)
    outer = standard.create(function() standard.resume(inner) end)
    assert.are.equal("suspended", coro.status(inner))
    standard.resume(outer)
    assert.are.same({ "running", "normal" }, seen)
    assert.are.equal("suspended", coro.status(inner))
    assert.are.equal("dead", coro.status(outer))
  end)

  it("is what current and running give inside it, whoever continued it", function()
    local seen = {}
    local thread = standard.create(function()
      for _ = 1, 3 do
        seen[#seen + 1] = coro.current()
        seen[#seen + 1] = (standard.running())
        seen[#seen + 1] = (coro.running())
        standard.yield()
      end
    end)
    standard.resume(thread)
    coro.resume(thread)
    coro.resume(thread)
    assert.are.equal(9, #seen)
    for _, current in ipairs(seen) do assert.are.equal(thread, current) end
  end)
end)

describe("the standard yield", function()
  fixture.leaves_nothing(before_each, after_each)

  it("goes to the coro resumer, with all values both ways", function()
    local values = {}
    for i = 1, 500 do values[i] = i % 5 ~= 0 and i or nil end
    local thread = coro.create(function(...)
      local got = pack(...)
      while true do got = pack(standard.yield(unpack(got, 1, got.n))) end
    end)
    for _, n in ipairs { 0, 1, 12, 13, 14, 20, 500 } do
      local got = pack(coro.resume(thread, unpack(values, 1, n)))
      assert.are.equal(n + 1, got.n)
      assert.is_true(got[1])
      for i = 1, n do assert.are.equal(values[i], got[i + 1]) end
    end
  end)

  it("goes to the caller of a coro wrap function", function()
    local f = coro.wrap(function(x)
      while true do x = standard.yield(x, x * 2) end
    end)
    assert.are.same({ n = 2, 1, 2 }, pack(f(1)))
    assert.are.same({ n = 2, 5, 10 }, pack(f(5)))
  end)

  it("goes to a resumer that is no main thread", function()
    local inner = coro.create(function() standard.yield "to the outer" end)
    local got
    local outer = coro.create(function()
      got = pack(coro.resume(inner))
      coro.yield "to main"
    end)
    assert.are.same({ n = 2, true, "to main" }, pack(coro.resume(outer)))
    assert.are.same({ n = 2, true, "to the outer" }, got)
  end)

  it("goes to the resumer after the thread was away in a transfer", function()
    local thread
    local third = coro.create(function() coro.transfer(thread, "back") end)
    thread = coro.create(function()
      local back = coro.transfer(third)
      standard.yield(back .. " and out")
    end)
    assert.are.same({ n = 2, true, "back and out" }, pack(coro.resume(thread)))
  end)

  it("takes turns with coro.yield and transfer in one thread", function()
    local thread = coro.create(function(x)
      while true do
        x = standard.yield(x + 1)
        x = coro.yield(x + 2)
        x = coro.transfer(nil, x + 3)
      end
    end)
    local got = {}
    for i = 1, 9 do got[i] = select(2, coro.resume(thread, i * 10)) end
    -- The transfers end the resumes of main, with the value.
    assert.are.same({ 11, 22, 33, 41, 52, 63, 71, 82, 93 }, got)
  end)

  if not is_51 then -- there it cannot leave a pcall
    it("goes to the coro resumer out of pcall, called directly or not", function()
      local thread = coro.create(function()
        local got = pack(pcall(standard.yield, 1))
        return pcall(function() return standard.yield(unpack(got, 1, got.n)) end)
      end)
      assert.are.same({ n = 2, true, 1 }, pack(coro.resume(thread)))
      assert.are.same({ n = 4, true, true, "a", nil }, pack(coro.resume(thread, "a", nil)))
      assert.are.same({ n = 4, true, true, "b", nil }, pack(coro.resume(thread, "b", nil)))
    end)
  end

  it("is the body of a coro thread", function()
    local thread = coro.create(standard.yield)
    assert.are.same({ n = 3, true, 1, nil }, pack(coro.resume(thread, 1, nil)))
    assert.are.same({ n = 3, true, 2, nil }, pack(coro.resume(thread, 2, nil)))
    assert.are.equal("dead", coro.status(thread))
  end)

  describe("in a thread without a resumer", function()
    it("raises, and main gets the error", function()
      local thread = coro.create(function() standard.yield(1) end)
      local ok, err = pcall(coro.transfer, thread)
      assert.is_false(ok)
      assert.matches(not_resumed, err)
      assert.are.equal("dead", coro.status(thread))
    end)

    it("raises in the thread, which can catch it and go on", function()
      local thread = coro.create(function()
        local ok, err = pcall(function()
          standard.yield(1)
          return "not reached"
        end)
        coro.transfer(nil, ok, err)
        coro.transfer(nil, "went on")
      end)
      local ok, err = coro.transfer(thread)
      assert.is_false(ok)
      assert.matches(is_51 and "attempt to yield across" or not_resumed, err)
      assert.are.equal("went on", coro.transfer(thread))
    end)

    if jit then
      -- No hook is called in the return of a C function there, so it is past the pcall.
      it("raises after the pcall that calls it directly", function()
        local thread = coro.create(function()
          pcall(standard.yield, 1)
          coro.transfer(nil, "went on")
        end)
        local ok, err = pcall(coro.transfer, thread)
        assert.is_false(ok)
        assert.matches(not_resumed, err)
      end)
    else
      it("raises in the pcall that calls it directly", function()
        local thread = coro.create(function()
          local got = pack(pcall(standard.yield, 1))
          coro.transfer(nil, unpack(got, 1, got.n))
        end)
        local got = pack(coro.transfer(thread))
        assert.are.equal(2, got.n)
        assert.is_false(got[1])
        assert.matches(is_51 and "attempt to yield across" or not_resumed, got[2])
      end)
    end

    it("raises where a tail call made it", function()
      local thread = coro.create(function() return standard.yield(1) end)
      local ok, err = pcall(coro.transfer, thread)
      assert.is_false(ok)
      assert.matches(not_resumed, err)
    end)

    it("raises where it is the thread's body", function()
      local thread = coro.create(standard.yield)
      local ok, err = pcall(coro.transfer, thread)
      assert.is_false(ok)
      assert.matches(not_resumed, err)
      assert.are.equal("dead", coro.status(thread))
    end)

    it("raises also if it had one", function()
      local thread = coro.create(function()
        coro.transfer(nil, "away")
        standard.yield(1)
      end)
      local resumer = coro.create(function()
        coro.resume(thread)
        coro.transfer(nil, "waits no more")
      end)
      assert.are.equal("away", coro.transfer(resumer))
      assert.are.equal("waits no more", coro.transfer(resumer))
      local ok, err = pcall(coro.transfer, thread)
      assert.is_false(ok)
      assert.matches(not_resumed, err)
    end)
  end)

  it("raises the standard's error in main", function()
    local expected = pack(pcall(standard.yield))
    assert.is_false(expected[1])
    assert.are.same(expected, pack(pcall(coro.yield)))
  end)
end)

describe("coro.yield in a thread that a standard resume runs", function()
  fixture.leaves_nothing(before_each, after_each)

  for made_by, maker in pairs(libraries) do
    it("goes to the standard resume, in a thread made by " .. made_by, function()
      local got = {}
      local thread = maker.create(function(...)
        got[1] = pack(...)
        got[2] = pack(coro.yield(1, nil))
        got[3] = pack(coro.yield())
        return "end", nil
      end)
      assert.are.same({ n = 3, true, 1 }, pack(standard.resume(thread, "a", nil)))
      assert.are.equal("suspended", standard.status(thread))
      assert.are.equal("suspended", coro.status(thread))
      assert.are.same({ n = 1, true }, pack(standard.resume(thread, nil, "b")))
      assert.are.same({ n = 3, true, "end" }, pack(standard.resume(thread)))
      assert.are.equal("dead", standard.status(thread))
      assert.are.same({ { n = 2, "a" }, { n = 2, nil, "b" }, { n = 0 } }, got)
    end)
  end

  it("goes to a standard wrap function", function()
    local f = standard.wrap(function(x)
      while true do x = coro.yield(x, x * 2) end
    end)
    assert.are.same({ n = 2, 1, 2 }, pack(f(1)))
    assert.are.same({ n = 2, 5, 10 }, pack(f(5)))
  end)

  it("goes to it and not to the resumer of the coro thread around", function()
    local trace = {}
    local thread = coro.create(function()
      local f = standard.wrap(function()
        coro.yield "inner 1"
        coro.yield "inner 2"
      end)
      trace[1] = f()
      coro.yield "outer 1"
      trace[2] = f()
      coro.yield "outer 2"
    end)
    assert.are.same({ n = 2, true, "outer 1" }, pack(coro.resume(thread)))
    assert.are.same({ n = 2, true, "outer 2" }, pack(coro.resume(thread)))
    assert.are.same({ "inner 1", "inner 2" }, trace)
  end)

  it("is possible, as isyieldable says", function()
    local seen
    standard.wrap(function() seen = coro.isyieldable() end)()
    assert.is_true(seen)
    coro.resume(coro.create(function()
      standard.wrap(function() seen = { coro.isyieldable() } end)()
    end))
    assert.are.same({ true }, seen)
    assert.is_false(coro.isyieldable())
  end)

  it("works in a generator that several coro threads call in turn", function()
    local count = standard.wrap(function()
      for i = 1, 6 do coro.yield(i) end
    end)
    local got = {}
    local function taker(name)
      return coro.create(function()
        for _ = 1, 3 do
          got[#got + 1] = name .. count()
          coro.yield()
        end
      end)
    end
    local a, b = taker "a", taker "b"
    for _ = 1, 3 do
      coro.resume(a)
      coro.resume(b)
    end
    assert.are.same({ "a1", "b2", "a3", "b4", "a5", "b6" }, got)
  end)

  -- What five resumes gave of which `around(resume)` makes the second and the third.
  local function resumed_around(around)
    local got = {}
    local thread = standard.create(function(value)
      for _ = 1, 4 do value = coro.yield(value) end
    end)
    local function resume()
      got[#got + 1] = pack(standard.resume(thread, #got + 1))
    end
    resume()
    around(function()
      resume()
      resume()
    end)
    resume()
    resume()
    return got
  end
  local each_value = {
    { n = 2, true, 1 }, { n = 2, true, 2 }, { n = 2, true, 3 }, { n = 2, true, 4 }, { n = 1, true },
  }

  it("goes there also in a finalizer, and after it", function()
    assert.are.same(each_value, resumed_around(function(resume)
      local done = false
      fixture.with_finalizer(function()
        if not done then resume() end
        done = true
      end)
      fixture.collect()
      assert.is_true(done)
    end))
  end)

  it("goes there also in a debug hook, and after it", function()
    assert.are.same(each_value, resumed_around(function(resume)
      mode.relax() -- which has hooks of its own
      local done = false
      debug.sethook(function()
        if not done then resume() end
        done = true
      end, "c")
      tostring(1)
      debug.sethook()
      assert.is_true(done)
    end))
  end)
end)

describe("transfer out of a nested standard coroutine", function()
  fixture.leaves_nothing(before_each, after_each)

  -- A coro thread, `nest.outer`, that runs standard coroutines one inside the other; the innermost
  -- runs the function, whose results go up to main. `nest.threads` has them all, outermost first.
  local function new_nest(depth, innermost)
    local nest = { threads = {} }
    local function run(level)
      nest.threads[level] = coro.current()
      if level == depth then return innermost(nest) end
      return standard.wrap(function() return run(level + 1) end)()
    end
    nest.outer = coro.create(function()
      local got = pack(run(1))
      coro.transfer(nil, "nest over", unpack(got, 1, got.n))
    end)
    return nest
  end

  for _, depth in ipairs { 2, 3, 10 } do
    it("suspends the nest, which a transfer to the innermost continues, " .. depth .. " deep",
       function()
      local nest = new_nest(depth, function() return coro.transfer(nil, "away", nil) end)
      assert.are.same({ n = 2, "away" }, pack(coro.transfer(nest.outer)))
      for level, thread in ipairs(nest.threads) do
        assert.are.equal(level == depth and "suspended" or "normal", coro.status(thread))
      end
      assert.are.same({ n = 3, "nest over", "back", nil },
                      pack(coro.transfer(nest.threads[depth], "back", nil)))
      for level, thread in ipairs(nest.threads) do
        assert.are.equal(level == 1 and "suspended" or "dead", coro.status(thread))
      end
    end)
  end

  it("leaves the outer threads waiting: they cannot be continued", function()
    local nest = new_nest(3, function() return coro.transfer(nil, "away") end)
    coro.transfer(nest.outer)
    for level = 1, 2 do
      local thread = nest.threads[level]
      local ok, err = pcall(coro.transfer, thread)
      assert.is_false(ok)
      assert.matches("runs another one by a standard resume", err)
      local resumed = pack(coro.resume(thread))
      assert.are.equal(2, resumed.n)
      assert.is_false(resumed[1])
      assert.matches("^cannot resume ", resumed[2])
      local by_standard = pack(standard.resume(thread))
      assert.is_false(by_standard[1])
      assert.matches("^cannot resume ", by_standard[2])
    end
    assert.are.same({ n = 2, "nest over", 7 }, pack(coro.transfer(nest.threads[3], 7)))
  end)

  it("lets the inner thread yield to its standard resumer afterwards", function()
    local got = {}
    local inner
    local outer = coro.create(function()
      inner = standard.create(function()
        local x = coro.transfer(nil, "away")
        x = standard.yield(x + 1)
        x = coro.yield(x + 1)
        x = coro.transfer(nil, "away again", x)
        return x + 1
      end)
      got[1] = pack(standard.resume(inner))
      got[2] = pack(standard.resume(inner, 20))
      got[3] = pack(standard.resume(inner, 30))
      coro.transfer(nil, "over")
    end)
    assert.are.same({ n = 1, "away" }, pack(coro.transfer(outer)))
    assert.are.same({ n = 2, "away again", 30 }, pack(coro.transfer(inner, 10)))
    assert.are.same({ n = 1, "over" }, pack(coro.transfer(inner, 40)))
    assert.are.same({ { n = 2, true, 11 }, { n = 2, true, 21 }, { n = 2, true, 41 } }, got)
  end)

  it("lets an error of the inner thread go to its standard resumer afterwards", function()
    local err, got, inner = {}, nil, nil
    local outer = coro.create(function()
      inner = standard.create(function()
        coro.transfer(nil)
        error(err)
      end)
      got = pack(standard.resume(inner))
      coro.transfer(nil, "over")
    end)
    coro.transfer(outer)
    assert.are.equal("over", coro.transfer(inner))
    assert.are.same({ n = 2, false, err }, got)
    assert.are.equal(err, got[2])
    assert.are.equal("dead", coro.status(inner))
  end)

  it("keeps the resumer of the coro thread around", function()
    local inner
    local outer = coro.create(function()
      local x = standard.wrap(function()
        inner = coro.current()
        return coro.transfer(nil, "away")
      end)()
      coro.yield("yielded", x)
    end)
    local continued
    local resumer = coro.create(function()
      local got = pack(coro.resume(outer))
      continued = got
      coro.transfer(nil, "resumer over")
    end)
    assert.are.equal("away", coro.transfer(resumer))
    assert.are.equal("normal", coro.status(resumer))
    assert.are.equal("resumer over", coro.transfer(inner, 5))
    assert.are.same({ n = 3, true, "yielded", 5 }, continued)
  end)

  it("may go to any thread, which may go back to the inner one", function()
    local trace, inner = {}, nil
    local helper = coro.create(function(x)
      while true do
        trace[#trace + 1] = x
        x = coro.transfer(inner, x * 2)
      end
    end)
    local outer = coro.create(function()
      local sum = standard.wrap(function()
        inner = coro.current()
        local sum = 0
        for i = 1, 3 do sum = sum + coro.transfer(helper, i) end
        return sum
      end)()
      coro.transfer(nil, sum)
    end)
    assert.are.equal(12, coro.transfer(outer))
    assert.are.same({ 1, 2, 3 }, trace)
  end)

  it("may be ended by resume, whose caller gets what the inner one transfers", function()
    local nest = new_nest(2, function()
      local resumer = coro.transfer(nil, "away")
      return coro.transfer(resumer, "to the resumer")
    end)
    coro.transfer(nest.outer)
    local got
    local resumer = coro.create(function()
      got = pack(coro.resume(nest.threads[2], coro.current()))
      coro.transfer(nil)
    end)
    coro.transfer(resumer)
    assert.are.same({ n = 2, true, "to the resumer" }, got)
    assert.are.same({ n = 2, "nest over", "back" }, pack(coro.transfer(nest.threads[2], "back")))
  end)

  it("does the same out of one that main runs: a transfer to nil goes back to it", function()
    local helper = coro.create(function(x)
      while true do x = coro.transfer(nil, x * 2) end
    end)
    local f = standard.wrap(function()
      standard.yield(coro.transfer(helper, 1))
      standard.yield(coro.transfer(helper, 2))
      return coro.transfer(helper, 3)
    end)
    assert.are.same({ 2, 4, 6 }, { f(), f(), f() })
  end)

  it("out of one that main runs leaves main waiting", function()
    local ok, err
    local helper = coro.create(function()
      ok, err = pcall(coro.transfer, coro.main)
      coro.transfer(nil)
    end)
    standard.wrap(function() coro.transfer(helper) end)()
    assert.is_false(ok)
    assert.matches("runs another one by a standard resume", err)
  end)

  it("can happen in several nests at once, continued in any order", function()
    local nests, order = {}, {}
    for i = 1, 4 do
      nests[i] = new_nest(i + 1, function(nest)
        for round = 1, 2 do
          order[#order + 1] = round * 10 + i
          coro.transfer(nil, "away")
        end
        return #nest.threads
      end)
      coro.transfer(nests[i].outer)
    end
    for _, i in ipairs { 3, 1, 4, 2 } do coro.transfer(nests[i].threads[i + 1]) end
    for _, i in ipairs { 2, 4, 1, 3 } do
      assert.are.same({ n = 2, "nest over", i + 1 }, pack(coro.transfer(nests[i].threads[i + 1])))
    end
    assert.are.same({ 11, 12, 13, 14, 23, 21, 24, 22 }, order)
  end)

  it("keeps the whole nest alive while only the inner thread is reachable", function()
    local nest = new_nest(3, function() return coro.transfer(nil, "away") end)
    coro.transfer(nest.outer)
    local inner, others = nest.threads[3], weak(nest.threads[1], nest.threads[2])
    nest.threads, nest.outer = nil, nil
    fixture.collect()
    assert.are.equal("thread", type(others[1]))
    assert.are.equal("thread", type(others[2]))
    nest.threads = {}
    assert.are.same({ n = 2, "nest over", "back" }, pack(coro.transfer(inner, "back")))
  end)

  it("lets the whole nest be collected when nothing reaches it", function()
    local nest = new_nest(3, function() return coro.transfer(nil, "away") end)
    coro.transfer(nest.outer)
    local threads = weak(unpack(nest.threads))
    nest = nil -- luacheck: ignore
    fixture.collect()
    assert.are.same({}, threads)
  end)
end)

describe("code that kept functions of the standard library before install", function()
  fixture.leaves_nothing(before_each, after_each)

  local kept = {}
  before_each(function()
    for name, f in pairs(standard) do kept[name] = f end
    assert.are.equal(standard, coro.install())
    assert.are.equal(coro, package.loaded.coroutine)
  end)
  after_each(function()
    package.loaded.coroutine = standard
    local globals = getfenv and getfenv(0) or _G -- luacheck: ignore
    globals.coroutine = standard
  end)

  -- What such code finds under the name now.
  local function installed() return require "coroutine" end

  it("yields to installed resume and wrap", function()
    local coroutine = installed()
    local thread = coroutine.create(function(x)
      local y = kept.yield(x + 1)
      return y + 1
    end)
    assert.are.same({ n = 2, true, 2 }, pack(coroutine.resume(thread, 1)))
    assert.are.same({ n = 2, true, 11 }, pack(coroutine.resume(thread, 10)))
    local f = coroutine.wrap(function(x)
      while true do x = kept.yield(x * 2) end
    end)
    assert.are.equal(2, f(1))
    assert.are.equal(4, f(2))
  end)

  it("resumes threads that the installed library made and that yield by its yield", function()
    local coroutine = installed()
    local thread = coroutine.create(function(x)
      local y = coroutine.yield(x + 1)
      return y + 1
    end)
    assert.are.same({ n = 2, true, 2 }, pack(kept.resume(thread, 1)))
    assert.are.same({ n = 2, true, 11 }, pack(kept.resume(thread, 10)))
    assert.are.equal("dead", coroutine.status(thread))
  end)

  it("wraps functions that yield by the installed yield", function()
    local coroutine = installed()
    local f = kept.wrap(function(x)
      while true do x = coroutine.yield(x * 2) end
    end)
    assert.are.equal(2, f(1))
    assert.are.equal(4, f(2))
  end)

  it("makes threads that the installed library resumes", function()
    local coroutine = installed()
    local thread = kept.create(function(x)
      local y = kept.yield(coroutine.yield(x + 1))
      return y + 1
    end)
    assert.are.same({ n = 2, true, 2 }, pack(coroutine.resume(thread, 1)))
    assert.are.same({ n = 2, true, 5 }, pack(coroutine.resume(thread, 5)))
    assert.are.same({ n = 2, true, 8 }, pack(coroutine.resume(thread, 7)))
  end)

  it("sees by status and running what the installed library sees", function()
    local coroutine = installed()
    local seen
    local thread
    thread = coroutine.create(function()
      seen = {
        kept.status(thread), coroutine.status(thread), (kept.running()), (coroutine.running()),
      }
    end)
    assert.are.equal("suspended", kept.status(thread))
    coroutine.resume(thread)
    assert.are.same({ "running", "running", thread, thread }, seen)
    assert.are.equal("dead", kept.status(thread))
  end)

  it("is a generator for a scheduler that transfers", function()
    local coroutine = installed()
    -- A library with the kept yield, over input that comes by transfer.
    local function lines(read)
      return coroutine.wrap(function()
        for _ = 1, 3 do kept.yield(read()) end
      end)
    end
    local waiting
    local function read()
      waiting = coro.current()
      return coro.transfer(nil)
    end
    local got = {}
    coro.transfer(coro.create(function()
      for line in lines(read) do got[#got + 1] = line end
      coro.transfer(nil)
    end))
    for i = 1, 3 do coro.transfer(waiting, "line " .. i) end
    assert.are.same({ "line 1", "line 2", "line 3" }, got)
  end)
end)

describe("generators of both libraries, three deep,", function()
  fixture.leaves_nothing(before_each, after_each)

  local names = { "standard", "coro" }

  -- Each generator gives what the inner one gives, and marks it; between the libraries' functions
  -- there may be a transfer to main, which says `waiting` and gets what was sent back.
  local function nest(kinds, pause)
    local function level(depth)
      local kind = kinds[depth]
      local wrap, yield = libraries[kind.wrap].wrap, libraries[kind.yield].yield
      if depth > #kinds then return nil end
      return wrap(function()
        if depth == #kinds then
          for i = 1, 3 do yield(pause(i)) end
        else
          for x in level(depth + 1) do yield(pause(x .. "/" .. depth)) end
        end
      end)
    end
    return level(1)
  end

  local expected = { "1/2/1", "2/2/1", "3/2/1" }

  for bits = 0, 63 do
    local kinds, title, rest = {}, {}, bits
    for depth = 1, 3 do
      kinds[depth] = { wrap = names[rest % 2 + 1], yield = names[math.floor(rest / 2) % 2 + 1] }
      rest = math.floor(rest / 4)
      title[depth] = kinds[depth].wrap .. ".wrap with " .. kinds[depth].yield .. ".yield"
    end
    it(table.concat(title, " around "), function()
      local got = {}
      for x in nest(kinds, function(x) return x end) do got[#got + 1] = x end
      assert.are.same(expected, got)
    end)

    it(table.concat(title, " around ") .. ", with transfers in between", function()
      local got, waiting, pauses = {}, nil, 0
      local function pause(x)
        waiting = coro.current()
        return coro.transfer(nil, x)
      end
      local thread = coro.create(function()
        for x in nest(kinds, pause) do got[#got + 1] = x end
        waiting = nil
        coro.transfer(nil)
      end)
      local value = coro.transfer(thread)
      while waiting do
        pauses = pauses + 1
        value = coro.transfer(waiting, value)
      end
      assert.are.same(expected, got)
      assert.are.equal(9, pauses)
    end)
  end
end)

describe("the standard library, asked about threads that coro suspended,", function()
  fixture.leaves_nothing(before_each, after_each)

  local words = { running = true, suspended = true, normal = true, dead = true }

  local function suspended_threads()
    local threads = {}
    threads.yield = coro.create(function() coro.yield() end)
    coro.resume(threads.yield)
    threads.transfer = coro.create(function() coro.transfer(nil) end)
    coro.transfer(threads.transfer)
    threads.ptransfer = coro.create(function() coro.ptransfer(nil) end)
    coro.transfer(threads.ptransfer)
    threads.resume = coro.create(function() coro.resume(coro.create(coro.transfer), nil) end)
    coro.transfer(threads.resume)
    threads.wrap = coro.create(function() coro.wrap(coro.transfer)(nil) end)
    coro.transfer(threads.wrap)
    threads.sort = coro.create(function() table.sort({ 1, 2 }, coro.yield) end)
    coro.resume(threads.sort)
    threads.nested = coro.create(function()
      standard.wrap(function() coro.transfer(nil) end)()
    end)
    coro.transfer(threads.nested)
    return threads
  end

  it("says one of the four words by status", function()
    for name, thread in pairs(suspended_threads()) do
      local status = standard.status(thread)
      assert.is_true(words[status], name .. ": " .. tostring(status))
      assert.are_not.equal("dead", status)
      assert.are_not.equal("running", status)
    end
  end)

  it("says 'suspended' for one that has not started, 'running' for the running, 'dead' for dead",
     function()
    local thread
    thread = coro.create(function() return standard.status(thread) end)
    assert.are.equal("suspended", standard.status(thread))
    assert.are.same({ n = 2, true, "running" }, pack(coro.resume(thread)))
    assert.are.equal("dead", standard.status(thread))
    local failed = coro.create(error)
    coro.resume(failed)
    assert.are.equal("dead", standard.status(failed))
  end)

  it("says 'normal' or 'suspended' for a thread that waits for the one that asks", function()
    local outer, status
    outer = coro.create(function()
      coro.resume(coro.create(function() status = standard.status(outer) end))
    end)
    coro.resume(outer)
    assert.is_true(status == "normal" or status == "suspended")
  end)

  it("gives a traceback and the functions that are active", function()
    local function named_in_traceback() coro.yield() end
    local thread = coro.create(function() named_in_traceback() end)
    coro.resume(thread)
    assert.matches("named_in_traceback", debug.traceback(thread))
    assert.are.equal(named_in_traceback, debug.getinfo(thread, 1, "f").func)
    assert.are.equal(coro.yield, debug.getinfo(thread, 0, "f").func)
    local found = {}
    for name, waiting in pairs(suspended_threads()) do
      found[name] = debug.traceback(waiting):match "^stack traceback:\n" ~= nil
    end
    assert.are.same({ yield = true, transfer = true, ptransfer = true, resume = true, wrap = true,
                      sort = true, nested = true }, found)
  end)
end)
