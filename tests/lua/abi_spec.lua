-- The C functions of coro (include/luacoro/abi.h), used by a module in C (tests/abi/waiting.c).
local fixture = require "fixture"
local waiting = require "waiting"
local coro, pack = fixture.coro, fixture.pack

local started = {} -- a waiter alone keeps no thread alive

-- Starts f in a coroutine that main transfers to, and that ends by transferring back.
local function start(f, ...)
  local thread = coro.create(function(...) coro.transfer(nil, "ended", f(...)) end)
  table.insert(started, thread)
  return thread, coro.transfer(thread, ...)
end

local function forget_started() started = {} end

local function leaves_nothing(before_each, after_each)
  after_each(forget_started)
  fixture.leaves_nothing(before_each, after_each)
end

describe("a C function that waits", function()
  leaves_nothing(before_each, after_each)

  it("returns what it is completed with", function()
    for n = 0, 40 do
      local values = {}
      for i = 1, n do values[i] = i % 3 ~= 0 and i or nil end
      local got
      start(function() got = pack(waiting.wait(1)) end)
      assert.is_nil(got)
      assert.are.equal("continued", (waiting.complete(1, fixture.unpack(values, 1, n))))
      assert.are.equal(n, got.n)
      for i = 1, n do assert.are.equal(values[i], got[i]) end
    end
  end)

  it("raises what it is failed with, untouched", function()
    for _, err in ipairs { "text", 42, { "table" } } do
      local got
      start(function() got = pack(pcall(waiting.wait, 1)) end)
      assert.are.equal("continued", (waiting.fail(1, err)))
      assert.are.equal(2, got.n)
      assert.is_false(got[1])
      assert.are.equal(err, got[2])
    end
  end)

  it("waits for main, or for whom it is told to let go on", function()
    local log = {}
    local other = coro.create(function()
      table.insert(log, "other")
      coro.transfer(nil, "from other")
    end)
    local _, what = start(function() table.insert(log, waiting.wait(1, other)) end)
    assert.are.equal("from other", what)
    waiting.complete(1, "completed")
    assert.are.same({ "other", "completed" }, log)
  end)

  it("waits inside sorts, gsubs, generators and standard coroutines", function()
    local places = {
      sort = function(wait)
        local got
        table.sort({ 2, 1 }, function(a, b)
          got = got or wait()
          return a < b
        end)
        return got
      end,
      gsub = function(wait) return (("x"):gsub("x", wait)) end,
      generator = function(wait)
        return coro.wrap(function()
          coro.yield(wait())
        end)()
      end,
      ["standard coroutine"] = function(wait)
        return fixture.standard.wrap(function() return wait() end)()
      end,
    }
    for name, place in pairs(places) do
      local got
      start(function() got = place(function() return (waiting.wait(1)) end) end)
      assert.are.equal("continued", (waiting.complete(1, name)))
      assert.are.equal(name, got)
    end
  end)

  it("goes on at once if it is completed before it waits", function()
    local _, _, got = start(function()
      waiting.take(1)
      assert.are.equal("early", (waiting.complete(1, "a", nil, nil)))
      return pack(waiting.suspend(1))
    end)
    assert.are.same({ n = 3, "a" }, got)
  end)

  it("raises at once if it is failed before it waits", function()
    local err = {}
    local _, _, ok, got = start(function()
      waiting.take(1)
      assert.are.equal("early", (waiting.fail(1, err)))
      return pcall(waiting.suspend, 1)
    end)
    assert.is_false(ok)
    assert.are.equal(err, got)
  end)

  it("is not disturbed by a completion while it waits for something else", function()
    local thread, first = start(function()
      waiting.take(1)
      local other = coro.transfer(nil, "elsewhere")
      return other, waiting.suspend(1)
    end)
    assert.are.equal("elsewhere", first)
    assert.are.equal("early", (waiting.complete(1, "completed")))
    assert.are.same({ n = 3, "ended", "other", "completed" }, pack(coro.transfer(thread, "other")))
  end)

  it("may wait for several things that are completed in any order", function()
    for _, order in ipairs { { 1, 2 }, { 2, 1 } } do
      local sum
      start(function() sum = waiting.wait_twice(1, 2) end)
      waiting.complete(order[1], 10)
      waiting.complete(order[2], 32)
      assert.are.equal(42, sum)
    end
  end)

  it("raises if somebody transfers to it instead, and cannot be completed then", function()
    local thread = start(function() return pcall(waiting.wait, 1) end)
    local _, ok, err = coro.transfer(thread, "not the completion")
    assert.is_false(ok)
    assert.are.equal("coroutine was continued by another one while it waited", err)
    assert.are.equal("nobody", (waiting.complete(1)))
  end)

  it("can be thrown into, and cannot be completed then", function()
    local thread = start(function() return pcall(waiting.wait, 1) end)
    local err = {}
    local _, ok, got = coro.throw(thread, err)
    assert.is_false(ok)
    assert.are.equal(err, got)
    assert.are.equal("nobody", (waiting.complete(1, 1, 2, 3)))
    assert.are.equal("used", (waiting.complete(1)))
  end)

  it("can be closed, and cannot be completed then", function()
    local thread = start(function() waiting.wait(1) end)
    assert.is_true(coro.close(thread))
    assert.are.equal("dead", coro.status(thread))
    assert.are.equal("nobody", (waiting.fail(1, "late")))
  end)

  it("is collected if nothing reaches it, and cannot be completed then", function()
    local numbers = 20
    for i = 1, numbers do
      start(function() waiting.wait(i) end)
    end
    forget_started()
    fixture.collect()
    local nobody = 0
    for i = 1, numbers do
      if waiting.complete(i, "late") == "nobody" then nobody = nobody + 1 end
    end
    assert.is_true(nobody >= numbers - 1) -- LuaJIT may take dead slots for alive
  end)

  it("is not mistaken for another one that waits on the same C stack", function()
    for _ = 1, 10 do
      local thread = start(function() waiting.wait(1) end)
      coro.close(thread)
      local got
      start(function() got = waiting.wait(2) end)
      assert.are.equal("nobody", (waiting.complete(1, "of the first")))
      assert.are.equal("continued", (waiting.complete(2, "of the second")))
      assert.are.equal("of the second", got)
    end
  end)

  it("is pinned and suspended meanwhile", function()
    local before = coro.stats().pinned
    local thread = start(function() waiting.wait(1) end)
    assert.are.equal("suspended", coro.status(thread))
    assert.are.equal(before + 1, coro.stats().pinned)
    waiting.complete(1)
  end)

  it("stays where it is among more threads than there are warm stacks", function()
    local settings = coro.configure()
    coro.configure { warm_stacks = 2 }
    local got = {}
    for i = 1, 50 do
      start(function() got[i] = waiting.wait(i) end)
      start(function() coro.transfer(nil) end)
    end
    for i = 50, 1, -1 do waiting.complete(i, i) end
    coro.configure { warm_stacks = settings.warm_stacks }
    for i = 1, 50 do assert.are.equal(i, got[i]) end
  end)
end)

describe("completing", function()
  leaves_nothing(before_each, after_each)

  it("a second time is told from the first", function()
    start(function() waiting.wait(1) end)
    assert.are.equal("continued", (waiting.complete(1)))
    assert.are.equal("used", (waiting.complete(1)))
    assert.are.equal("used", (waiting.fail(1, "x")))
  end)

  it("is done from a coroutine, too", function()
    local got
    start(function() got = waiting.wait(1) end)
    local loop = coro.create(function()
      local outcome = waiting.complete(1, "by a coroutine")
      coro.transfer(nil, outcome)
    end)
    -- The one who waited ends by a transfer to main.
    assert.are.equal("ended", coro.transfer(loop))
    assert.are.equal("by a coroutine", got)
    assert.are.equal("continued", coro.transfer(loop))
  end)

  it("gets the errors of coroutines that nobody has resumed, with a traceback", function()
    coro.transfer(coro.create(function()
      waiting.wait(1)
      error("after it", 0)
    end))
    local outcome, err, traceback = waiting.complete(1)
    assert.are.equal("failed", outcome)
    assert.are.equal("after it", err)
    assert.is_truthy(traceback:find "error")
  end)

  it("with too many values is refused, and can be done again", function()
    local got
    local thread = start(function() got = waiting.wait(1) end)
    local outcome, err
    -- As many as this Lua passes to a C function at all.
    for _, n in ipairs { 900000, 7900 } do
      local ok
      ok, outcome, err = pcall(function() return waiting.complete(1, fixture.unpack({}, 1, n)) end)
      if ok then break end
    end
    if outcome == "refused" then
      assert.are.equal("too many values to transfer", err)
      assert.are.equal("suspended", coro.status(thread))
      assert.are.equal("continued", (waiting.complete(1, "again")))
      assert.are.equal("again", got)
    else
      assert.are.equal("continued", outcome)
    end
  end)

  it("finds nobody already in a finalizer of the cycle that has found the thread", function()
    local outcomes = {}
    for i = 1, 10 do
      start(function() waiting.wait(i) end)
    end
    local function finalize()
      for i = 1, 10 do outcomes[i] = waiting.complete(i, "late") end
    end
    local collected = fixture.with_finalizer(finalize) -- luacheck: ignore
    forget_started()
    collected = nil -- luacheck: ignore
    fixture.collect()
    local nobody = 0
    for i = 1, 10 do
      if outcomes[i] == "nobody" then nobody = nobody + 1 end
    end
    assert.is_true(nobody >= 9) -- LuaJIT may take dead slots for alive
  end)

  it("is refused inside a finalizer", function()
    if fixture.lua == "Lua 5.1" then return end -- does not show it
    local got, outcome, err
    local thread = start(function() got = waiting.wait(1) end)
    local function finalize() outcome, err = waiting.complete(1, "in a finalizer") end
    fixture.with_finalizer(finalize)
    fixture.collect()
    assert.are.equal("refused", outcome)
    assert.are.equal("attempt to transfer inside a finalizer", err)
    assert.are.equal("suspended", coro.status(thread))
    assert.are.equal("continued", (waiting.complete(1, "outside")))
    assert.are.equal("outside", got)
  end)
end)

describe("a waiter", function()
  leaves_nothing(before_each, after_each)

  it("is taken in a coroutine only", function()
    local of_the_host = fixture.standard.create(function() waiting.take(1) end)
    for _, ok_and_error in ipairs {
      { pcall(waiting.take, 1) },
      { fixture.standard.resume(of_the_host) },
    } do
      assert.is_false(ok_and_error[1])
      assert.is_truthy(ok_and_error[2]:find "attempt to wait outside a coroutine that coro runs$")
    end
  end)

  it("serves for one wait", function()
    local _, _, ok, err = start(function()
      waiting.take(1)
      waiting.complete(1)
      waiting.suspend(1)
      return pcall(waiting.suspend, 1)
    end)
    assert.is_false(ok)
    assert.are.equal("waiter was used already: each wait takes its own", err)
  end)

  it("that is dropped cannot be completed, nor waited for", function()
    local _, _, outcome, ok = start(function()
      waiting.take(1)
      waiting.drop(1)
      return waiting.complete(1), pcall(waiting.suspend, 1)
    end)
    assert.are.equal("used", outcome)
    assert.is_false(ok)
  end)

  it("that is dropped gives its early values back", function()
    local seen = setmetatable({}, { __mode = "k" })
    start(function()
      waiting.take(1)
      local value = {}
      seen[value] = true
      waiting.complete(1, value)
      waiting.drop(1)
      waiting.drop(1)
    end)
    fixture.collect()
    assert.is_nil(next(seen))
  end)

  it("that is dropped leaves who waits to throw and close", function()
    local thread = start(function() return pcall(waiting.wait, 1) end)
    waiting.drop(1)
    assert.are.equal("used", (waiting.complete(1)))
    local _, ok, err = coro.throw(thread, "thrown")
    assert.is_false(ok)
    assert.are.equal("thrown", err)
  end)

  it("does not wait where transfer would be refused, and can be used again", function()
    local dead = coro.create(function() end)
    coro.resume(dead)
    local _, _, ok, err = start(function()
      waiting.take(1)
      local ok, err = pcall(waiting.suspend, 1, dead)
      waiting.complete(1)
      waiting.suspend(1)
      return ok, err
    end)
    assert.is_false(ok)
    assert.are.equal("cannot transfer to dead coroutine", err)
  end)
end)

describe("a C function that leaves", function()
  leaves_nothing(before_each, after_each)

  local function leaving(...)
    local values = pack(...)
    return start(function() return waiting.leave(nil, fixture.unpack(values, 1, values.n)) end)
  end

  it("returns what somebody continues it with", function()
    for n = 0, 40 do
      local values = {}
      for i = 1, n do values[i] = i % 3 ~= 0 and i or nil end
      local thread = leaving(1, "kept")
      local got = pack(coro.transfer(thread, fixture.unpack(values, 1, n)))
      assert.are.equal("ended", got[1])
      assert.are.equal(n + 1, got.n)
      for i = 1, n do assert.are.equal(values[i], got[i + 1]) end
    end
  end)

  it("passes values", function()
    for n = 0, 40 do
      local values = {}
      for i = 1, n do values[i] = i % 3 ~= 0 and i or nil end
      local got = pack(select(2, leaving(1, "kept", fixture.unpack(values, 1, n))))
      assert.are.equal(n, got.n)
      for i = 1, n do assert.are.equal(values[i], got[i]) end
    end
  end)

  it("transfers to whom it is told", function()
    local other = coro.create(function(...) coro.transfer(nil, "other", ...) end)
    local got = pack(start(function() return waiting.leave(other, 1, "kept", "value") end))
    assert.are.same({ "other", "value" }, { got[2], got[3] })
  end)

  it("is known by its mark, as long as it waits there", function()
    local thread = leaving(3, "kept")
    assert.are.equal(3, waiting.mark_of(thread))
    coro.transfer(thread)
    assert.are.equal(0, waiting.mark_of(thread))
    assert.are.equal(0, waiting.mark_of((leaving(0, "kept"))))
    for _, wait in ipairs {
      function() coro.transfer(nil) end,
      function() coro.ptransfer(nil, 1) end,
      function() waiting.transfer("kept", nil) end,
      function() waiting.wait(1) end,
      function() coro.throw(nil, "an error") end,
    } do
      local other = coro.create(wait)
      table.insert(started, other)
      coro.ptransfer(other)
      assert.are.equal("suspended", coro.status(other))
      assert.are.equal(0, waiting.mark_of(other))
    end
    local fresh = coro.create(print)
    assert.are.equal(0, waiting.mark_of(fresh))
    local yielded = coro.create(coro.yield)
    coro.resume(yielded, 1)
    assert.are.equal(0, waiting.mark_of(yielded))
  end)

  it("is known below whatever else belongs to the wait", function()
    local generator = coro.wrap(function()
      coro.yield(waiting.leave(nil, 2, "kept", (coro.current())))
    end)
    local _, in_generator = start(function() return generator() end)
    assert.are.equal(2, waiting.mark_of(in_generator))
    assert.are.equal("kept", waiting.exchange(in_generator, "other"))
    assert.are.equal("other", waiting.exchange(in_generator, "kept"))
    assert.are.same({ n = 2, "ended", 42 }, pack(coro.transfer(in_generator, 42)))

    local inner -- a standard coroutine, whose base is somebody else
    local _, got = start(function()
      return fixture.standard.wrap(function()
        inner = (fixture.standard.running())
        return waiting.leave(nil, 4, "kept", "left")
      end)()
    end)
    assert.are.equal("left", got)
    assert.are.equal(4, waiting.mark_of(inner))
    assert.are.equal("kept", waiting.exchange(inner, "other"))
    assert.are.same({ n = 2, "ended", 7 }, pack(coro.transfer(inner, 7)))
  end)

  it("is known when it has lost its C stack while it waits", function()
    local warm_stacks = coro.configure().warm_stacks
    coro.configure { warm_stacks = 4 }
    local inner, hot = {}, {}
    for i = 1, 4 do
      start(function()
        return coro.wrap(function()
          inner[i] = coro.current()
          return waiting.leave(nil, 6, "kept")
        end)()
      end)
    end
    for i = 1, 4 do
      hot[i] = coro.create(function()
        while true do coro.transfer(nil) end
      end)
    end
    for turn = 1, 1000 do
      coro.transfer(hot[turn % 4 + 1])
      for i = 1, 4 do assert.are.equal(6, waiting.mark_of(inner[i])) end
    end
    coro.configure { warm_stacks = warm_stacks }
    for i = 1, 4 do
      assert.are.equal("kept", waiting.exchange(inner[i], "kept"))
      assert.are.same({ n = 2, "ended", i }, pack(coro.transfer(inner[i], i)))
    end
  end)

  it("keeps what it has at its indices, and what is put there", function()
    local kept, put = {}, {}
    local thread = leaving(1, kept, "passed")
    assert.are.equal(kept, waiting.exchange(thread, put))
    local weak = setmetatable({ put }, { __mode = "v" })
    put = nil -- luacheck: ignore
    collectgarbage()
    assert.is_not_nil(weak[1])
    assert.are.equal(weak[1], waiting.exchange(thread, nil))
    collectgarbage()
    assert.is_nil(weak[1])
    coro.transfer(thread)
  end)

  it("has room for values wherever it stands on its Lua stack", function()
    local function descend(depth)
      if depth == 0 then return waiting.leave_full() end
      return (select("#", descend(depth - 1, depth)))
    end
    for depth = 1, 120 do
      local inner
      start(function()
        return coro.wrap(function()
          inner = coro.current()
          return descend(depth)
        end)()
      end)
      assert.are.equal(1, waiting.mark_of(inner))
      local got = pack(coro.transfer(inner, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13))
      assert.are.same({ n = 2, "ended", depth == 1 and 13 or 1 }, got)
    end
  end)

  it("raises what is thrown, and can be closed", function()
    local thread = leaving(1, "kept")
    local ok, err = coro.ptransfer(thread, 1)
    assert.is_true(ok, err)
    local got
    thread = start(function() got = pack(pcall(waiting.leave, nil, 1, "kept")) end)
    local thrown = {}
    coro.throw(thread, thrown)
    assert.are.same({ n = 2, false, thrown }, got)
    thread = leaving(1, "kept")
    assert.is_true(coro.close(thread))
    assert.are.equal(0, waiting.mark_of(thread))
  end)

  it("raises where it cannot leave, and nothing has changed", function()
    local dead = coro.create(print)
    coro.close(dead)
    local _, _, ok, err = start(function() return pcall(waiting.leave, dead, 1, "kept", "left") end)
    assert.is_false(ok)
    assert.is_not_nil(err:find("cannot transfer to dead coroutine", 1, true))
  end)

  it("takes a C stack where a C function below it is not done", function()
    local got
    start(function()
      table.sort({ 2, 1 }, function(a, b)
        got = got or waiting.leave(nil, 5, "kept", (coro.current()))
        return a < b
      end)
    end)
    local thread = started[#started]
    assert.are.equal(5, waiting.mark_of(thread))
    coro.transfer(thread, "sorted")
    assert.are.equal("sorted", got)
  end)
end)

describe("the C functions", function()
  leaves_nothing(before_each, after_each)

  it("transfer with the values on top, and return in the frame that they left", function()
    local thread = coro.create(function(...)
      assert.are.same({ n = 3, 1, nil, 3 }, pack(...))
      while true do coro.transfer(nil, "a", nil) end
    end)
    local expected = { n = 3, "a", nil, "below" }
    assert.are.same(expected, pack(waiting.transfer("below", thread, 1, nil, 3)))
    assert.are.same(expected, pack(waiting.transfer("below", thread)))
  end)

  it("transfer to main for NULL", function()
    local thread = coro.create(function() return waiting.transfer("below", nil, 1, 2) end)
    assert.are.same({ n = 2, 1, 2 }, pack(coro.transfer(thread)))
    assert.are.same({ n = 2, true, "below" }, pack(coro.resume(thread)))
  end)

  it("raise what transfer raises", function()
    assert.has_error(function() waiting.transfer(1, coro.main) end,
      "cannot transfer to the current coroutine")
  end)

  it("ptransfer: values, or the error that arrives", function()
    local thread = coro.create(function(...)
      coro.transfer(nil, ...)
      error("arrives", 0)
    end)
    assert.are.same({ n = 3, true, 1, 2 }, pack(waiting.ptransfer(thread, 1, 2)))
    local got = pack(waiting.ptransfer(thread))
    assert.are.equal(3, got.n)
    assert.is_false(got[1])
    assert.are.equal("arrives", got[2])
    assert.is_string(got[3])
  end)

  it("resume: values, the error, or why not", function()
    local thread = coro.create(function(...)
      coro.yield(...)
      error("fails", 0)
    end)
    assert.are.same({ n = 3, true, 1, 2 }, pack(waiting.resume(thread, 1, 2)))
    local got = pack(waiting.resume(thread))
    assert.are.equal(3, got.n)
    assert.are.equal("fails", got[2])
    assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(waiting.resume(thread)))
  end)

  it("yield from a loop in C", function()
    local count = coro.wrap(waiting.count_up)
    for i = 1, 20 do assert.are.equal(i, (count(20))) end
    assert.are.same({ n = 2, "x", "y" }, pack(count("x", "y")))
  end)

  it("yield raises without a resumer", function()
    local _, _, ok, err = start(function() return pcall(waiting.count_up, 1) end)
    assert.is_false(ok)
    assert.are.equal("attempt to yield from a coroutine that was not resumed", err)
    assert.is_false((pcall(waiting.count_up, 1)))
  end)

  it("create threads", function()
    local thread = waiting.create(function(...) return ... end)
    assert.are.same({ n = 3, true, 1, 2 }, pack(coro.resume(thread, 1, 2)))
    assert.has_error(function() waiting.create(1) end)
  end)

  it("tell the current thread, and the status of any", function()
    assert.is_nil(waiting.current())
    assert.are.equal("running", waiting.status(coro.main))
    local thread
    thread = coro.create(function()
      assert.are.equal(thread, waiting.current())
      assert.are.equal("running", waiting.status(thread))
      coro.resume(coro.create(function()
        assert.are.equal("normal", waiting.status(thread))
      end))
      coro.yield()
    end)
    assert.are.equal("suspended", waiting.status(thread))
    assert(coro.resume(thread))
    assert.are.equal("suspended", waiting.status(thread))
    assert(coro.resume(thread))
    assert.are.equal("dead", waiting.status(thread))
  end)

  it("throw an error into a suspended thread", function()
    local caught
    local thread = start(function()
      local _
      _, caught = pcall(coro.transfer, nil)
    end)
    assert.are.equal("ended", (waiting.throw(thread, "thrown")))
    assert.are.equal("thrown", caught)
  end)

  it("close suspended threads", function()
    local thread = start(function() waiting.wait(1) end)
    assert.are.same({ n = 1, true }, pack(waiting.close(thread)))
    assert.are.equal("nobody", (waiting.complete(1)))
    local failed = coro.create(function() error("fails", 0) end)
    coro.resume(failed)
    assert.are.same({ n = 2, false, "fails" }, pack(waiting.close(failed)))
    assert.has_error(function() waiting.close(coro.main) end)
  end)
end)

describe("the C functions", function()
  leaves_nothing(before_each, after_each)

  it("say whether a wait is possible", function()
    assert.is_false(waiting.can_wait())
    assert.are.same({ n = 2, "ended", true }, pack(select(2, start(waiting.can_wait))))
  end)

  it("call functions that may raise and switch", function()
    assert.are.same({ n = 4, true, 1, nil, 3 }, pack(waiting.protect(function(...)
      return ...
    end, 1, nil, 3)))
    local err = {}
    local ok, got = waiting.protect(error, err)
    assert.is_false(ok)
    assert.are.equal(err, got)
    local _, what = start(function() return waiting.protect(waiting.wait, 1) end)
    assert.is_nil(what)
    assert.are.equal("continued", (waiting.complete(1)))
  end)
end)

describe("loading the C functions", function()
  it("tells a newer, an older and an incompatible coro apart", function()
    assert.is_nil(waiting.pretend(0, 0))
    assert.is_nil(waiting.pretend(0, 8)) -- appended to
    local older = "coro is older than this module (it lacks C functions)"
    assert.are.equal(older, waiting.pretend(0, -8))
    local other = "coro offers other C functions than this module needs (version 2, not 1)"
    assert.are.equal(other, waiting.pretend(1, 0))
  end)

  it("requires coro if nobody has", function()
    local output = fixture.run [[
      require "waiting".load()
      print(package.loaded.coro ~= nil)
    ]]
    assert.are.equal("true\nend of program\nexit status 0\n", output)
  end)

  it("raises require's error where there is no coro", function()
    local output = fixture.run [[
      local waiting = require "waiting"
      package.cpath = ""
      local ok, err = pcall(waiting.load)
      print(ok, (err:match "module 'coro' not found"))
      require = nil
      print(pcall(waiting.load))
    ]]
    assert.are.equal("false\tmodule 'coro' not found\n" ..
      "false\tcoro is not loaded, and there is no 'require'\n" ..
      "end of program\nexit status 0\n", output)
  end)
end)
