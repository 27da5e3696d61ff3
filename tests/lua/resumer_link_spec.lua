-- Who a thread's yield, end and error go to: the link to its resumer, how it comes and how it goes.
--
-- The threads here are puppets: whoever transfers to one gives it a function to call and arguments;
-- it transfers the results to main. So `coro.transfer(a, coro.resume, b, same)` makes puppet a
-- the resumer of puppet b, which goes on to main; and `coro.transfer(b, coro.yield, 1)` makes b
-- yield, after which a goes on to main with what its resume returned.
local fixture = require "fixture"
local coro, pack, unpack = fixture.coro, fixture.pack, fixture.unpack
local standard = fixture.standard

local not_resumed = "attempt to yield from a coroutine that was not resumed"
local ended = "coroutine ended without transferring control"

local finish = {}
local function same(...) return ... end
local function fail(value) error(value, 0) end

local function play(...)
  local order = pack(...)
  while order[1] ~= finish do
    order = pack(coro.transfer(nil, order[1](unpack(order, 2, order.n))))
  end
  return unpack(order, 2, order.n)
end

local function new_puppet() return coro.create(play) end

local ways_to_resume = { "resume", "a wrap function" }

-- Two puppets: the first is the resumer of the second, which transferred to main.
local function new_linked(way)
  local a, b = new_puppet(), nil
  if way == "a wrap function" then
    local f = coro.wrap(function(...)
      b = coro.current()
      return play(...)
    end)
    assert.are.equal("linked", coro.transfer(a, f, same, "linked"))
  else
    b = new_puppet()
    assert.are.equal("linked", coro.transfer(a, coro.resume, b, same, "linked"))
  end
  return a, b
end

-- What the resumer gets: a status first, or not.
local function expected_by(way, ...)
  if way == "a wrap function" then return pack(...) end
  return pack(true, ...)
end

local function has_resumer(thread) return coro.transfer(thread, coro.isyieldable) end

-- That nothing of it goes to a resumer.
local function assert_no_resumer(thread)
  assert.is_false(has_resumer(thread))
  local ok, err = coro.transfer(thread, pcall, coro.yield, "lost")
  assert.is_false(ok)
  assert.matches(not_resumed, err)
  ok, err = pcall(coro.transfer, thread, finish, "lost")
  assert.is_false(ok)
  assert.are.equal(ended, err)
  assert.are.equal("dead", coro.status(thread))
end

describe("the resumer link", function()
  fixture.leaves_nothing(before_each, after_each)

  for _, way in ipairs(ways_to_resume) do
    describe("is set by " .. way .. ":", function()
      it("the thread's yield goes there", function()
        local a, b = new_linked(way)
        assert.is_true(has_resumer(b))
        assert.are.same(expected_by(way, 1, nil), pack(coro.transfer(b, coro.yield, 1, nil)))
        assert.are.equal("suspended", coro.status(a))
        assert.are.equal("suspended", coro.status(b))
      end)

      it("the thread's standard yield goes there", function()
        local _, b = new_linked(way)
        assert.are.same(expected_by(way, 1, nil), pack(coro.transfer(b, standard.yield, 1, nil)))
      end)

      it("the thread's results go there", function()
        local _, b = new_linked(way)
        assert.are.same(expected_by(way, 1, nil), pack(coro.transfer(b, finish, 1, nil)))
        assert.are.equal("dead", coro.status(b))
      end)

      it("the thread's error goes there", function()
        local value, a, b = {}, new_puppet(), nil
        local function body(...)
          b = coro.current()
          return play(...)
        end
        if way == "resume" then
          coro.transfer(a, coro.resume, coro.create(body), same)
        else
          coro.transfer(a, pcall, coro.wrap(body), same)
        end
        local got = pack(coro.transfer(b, fail, value))
        assert.are.equal(way == "resume" and 3 or 2, got.n)
        assert.is_false(got[1])
        assert.are.equal(value, got[2])
        assert.are.equal("suspended", coro.status(a))
        assert.are.equal("dead", coro.status(b))
      end)

      it("the resumer is normal as long as it waits", function()
        local a, b = new_linked(way)
        assert.are.equal("normal", coro.status(a))
        assert.are.equal("suspended", coro.status(b))
        coro.transfer(b, coro.yield)
        assert.are.equal("suspended", coro.status(a))
      end)
    end)

    -- Everything that continues a resumer that waits.
    local routes = {
      ["a transfer by main"] = function(a) return pack(coro.transfer(a, "x", nil)) end,
      ["a transfer by a third thread"] = function(a)
        return pack(coro.transfer(new_puppet(), coro.transfer, a, "x", nil))
      end,
      ["a ptransfer by a third thread"] = function(a)
        return pack(coro.transfer(new_puppet(), coro.ptransfer, a, "x", nil))
      end,
      ["a transfer by a thread that somebody resumed"] = function(a)
        local third = new_puppet()
        coro.transfer(third, coro.resume, coro.create(function() coro.transfer(a, "x", nil) end))
        return expected_by(way, "x", nil)
      end,
      ["a transfer out of a nested standard coroutine"] = function(a)
        return pack(coro.transfer(new_puppet(), function()
          standard.wrap(function() coro.transfer(a, "x", nil) end)()
        end))
      end,
      ["a transfer by the thread itself"] = function(a, b)
        return pack(coro.transfer(b, coro.transfer, a, "x", nil))
      end,
      ["a yield of the thread"] = function(_, b)
        return pack(coro.transfer(b, coro.yield, "x", nil))
      end,
      ["a standard yield of the thread"] = function(_, b)
        return pack(coro.transfer(b, standard.yield, "x", nil))
      end,
    }
    for route, continue in pairs(routes) do
      it("set by " .. way .. " is cleared by " .. route, function()
        local a, b = new_linked(way)
        assert.are.same(expected_by(way, "x", nil), continue(a, b))
        assert.are.equal("suspended", coro.status(a))
        assert.are.equal("suspended", coro.status(b))
        -- One that yielded or transferred goes on with the results of that first.
        if route:find("thread itself", 1, true) or route:find("yield", 1, true) then
          coro.transfer(b)
        end
        assert_no_resumer(b)
        assert.are.equal("still here", coro.transfer(a, same, "still here"))
      end)
    end
  end

  it("is cleared by throw, which makes the resumer's resume return the error", function()
    local value = {}
    local a, b = new_linked()
    local got = pack(coro.throw(a, value))
    assert.are.equal(3, got.n)
    assert.is_false(got[1])
    assert.are.equal(value, got[2])
    assert.are.equal("string", type(got[3]))
    assert_no_resumer(b)
    assert.are.equal("still here", coro.transfer(a, same, "still here"))
  end)

  it("is cleared by throw, which the resumer's wrap function raises", function()
    local value, b = {}, nil
    local a = new_puppet()
    coro.transfer(a, pcall, coro.wrap(function(...)
      b = coro.current()
      return play(...)
    end), same)
    assert.are.same({ n = 2, false, value }, pack(coro.throw(a, value)))
    assert_no_resumer(b)
  end)

  describe("of main", function()
    local function resume_and_leave(third)
      local b = coro.create(function(...)
        coro.transfer(third)
        return play(...)
      end)
      return b, pack(coro.resume(b, same))
    end

    it("is cleared by a transfer to main", function()
      local b, got = resume_and_leave(coro.create(function() coro.transfer(nil, "x", nil) end))
      assert.are.same({ n = 3, true, "x" }, got)
      assert.are.equal("suspended", coro.status(b))
      coro.transfer(b)
      assert_no_resumer(b)
    end)

    it("is cleared by an error that goes to main", function()
      local value = {}
      local b, got = resume_and_leave(coro.create(function() fail(value) end))
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
      assert.are.equal("suspended", coro.status(b))
      coro.transfer(b)
      assert_no_resumer(b)
    end)

    it("is cleared by the end of a thread without a resumer", function()
      local b, got = resume_and_leave(coro.create(function() end))
      assert.is_false(got[1])
      assert.are.equal(ended, got[2])
      coro.transfer(b)
      assert_no_resumer(b)
    end)

    it("is cleared by throw", function()
      local value = {}
      local b, got = resume_and_leave(coro.create(function() coro.throw(nil, value) end))
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
      coro.transfer(b)
      assert_no_resumer(b)
    end)

    it("is cleared when the thread that it is of transfers to main", function()
      local b = new_puppet()
      assert.are.same({ n = 3, true, "x" }, pack(coro.resume(b, same, "x", nil)))
      assert_no_resumer(b)
    end)
  end)

  it("is there again when the same thread is resumed again", function()
    local a, b = new_linked()
    coro.transfer(a, "wait over")
    assert.is_false(has_resumer(b))
    assert.are.equal("linked again", coro.transfer(a, coro.resume, b, same, "linked again"))
    assert.is_true(has_resumer(b))
    assert.are.same({ n = 2, true, "y" }, pack(coro.transfer(b, coro.yield, "y")))
  end)

  it("counts for max_depth only as long as it holds", function()
    local a, b = new_puppet(), new_puppet()
    for _ = 1, 3000 do
      assert.are.equal("resumed", coro.transfer(a, coro.resume, b, same, "resumed"))
      coro.transfer(a, "wait over")
      a, b = b, a
    end
  end)

  it("of an earlier resume does not come back with a later one of another thread", function()
    local a, b = new_linked()
    local c = new_puppet()
    coro.transfer(a, "wait over")
    coro.transfer(a, coro.resume, c, same)
    assert.are.equal("normal", coro.status(a))
    assert.is_true(has_resumer(c))
    assert_no_resumer(b)
    assert.are.equal("normal", coro.status(a))
    assert.are.same({ n = 2, true, "c" }, pack(coro.transfer(c, coro.yield, "c")))
  end)

  it("is not there in a thread that was started by transfer", function()
    local b = new_puppet()
    coro.transfer(b, same)
    assert_no_resumer(b)
  end)

  it("is not there after a yield, for a thread that is transferred to then", function()
    local _, b = new_linked()
    coro.transfer(b, coro.yield)
    coro.transfer(b, "the yield's result")
    assert_no_resumer(b)
  end)

  it("stays where continuing the resumer is refused", function()
    local a, b = new_linked()
    local resumed = pack(coro.resume(a))
    assert.are.equal(2, resumed.n)
    assert.is_false(resumed[1])
    assert.matches("^cannot resume n?o?n?", resumed[2])
    assert.is_false((pcall(coro.close, a)))
    assert.are.equal("normal", coro.status(a))
    assert.are.same({ n = 2, true, 1 }, pack(coro.transfer(b, coro.yield, 1)))
  end)
end)

describe("the resumer link to a standard coroutine nested in a thread", function()
  fixture.leaves_nothing(before_each, after_each)

  -- The resumer is `nested`, which `outer` runs by a standard resume.
  local function new_nested_link()
    local b, outer, nested = new_puppet(), new_puppet(), nil
    coro.transfer(outer, function()
      return "outer", standard.wrap(function()
        nested = coro.current()
        return "nested", coro.resume(b, same)
      end)()
    end)
    return b, outer, nested
  end

  it("is set: the thread's yield goes there", function()
    local b, outer, nested = new_nested_link()
    assert.are.equal("normal", coro.status(nested))
    assert.are.equal("normal", coro.status(outer))
    assert.is_true(has_resumer(b))
    assert.are.same({ n = 5, "outer", "nested", true, 1, nil },
                    pack(coro.transfer(b, coro.yield, 1, nil)))
    assert.are.equal("dead", coro.status(nested))
    assert.are.equal("suspended", coro.status(outer))
  end)

  it("is cleared by a transfer to the nested one", function()
    local b, _, nested = new_nested_link()
    assert.are.same({ n = 4, "outer", "nested", true, 2 }, pack(coro.transfer(nested, 2)))
    assert_no_resumer(b)
  end)

  it("keeps the whole nest alive", function()
    local b = new_nested_link()
    fixture.collect()
    assert.are.same({ n = 3, "outer", "nested", true }, pack(coro.transfer(b, finish)))
  end)

  it("keeps the whole nest alive while the thread runs", function()
    local b = new_nested_link()
    coro.transfer(b, fixture.collect)
    assert.are.same({ n = 4, "outer", "nested", true, "end" },
                    pack(coro.transfer(b, finish, "end")))
  end)
end)

describe("the resumer link survives", function()
  fixture.leaves_nothing(before_each, after_each)

  local function check_link(b)
    assert.is_true(has_resumer(b))
    assert.are.same({ n = 3, true, "to the resumer", nil },
                    pack(coro.transfer(b, coro.yield, "to the resumer", nil)))
  end

  it("transfers of the thread, to main and back", function()
    local _, b = new_linked()
    for i = 1, 5 do assert.are.equal(i, coro.transfer(b, same, i)) end
    check_link(b)
  end)

  it("transfers of the thread, to others and back by way of others", function()
    local _, b = new_linked()
    local d = coro.create(function() coro.transfer(b, "from d") end)
    local c = coro.create(function() coro.transfer(d) end)
    assert.are.equal("from d", coro.transfer(b, coro.transfer, c))
    check_link(b)
  end)

  it("a ptransfer of the thread", function()
    local _, b = new_linked()
    coro.transfer(b, coro.ptransfer, nil)
    assert.are.same({ n = 2, true, 5 }, pack(coro.transfer(b, 5)))
    check_link(b)
  end)

  it("an error that is thrown at the thread and that it catches", function()
    local _, b = new_linked()
    coro.transfer(b, pcall, coro.transfer, nil)
    assert.are.same({ n = 2, false, "thrown" }, pack(coro.throw(b, "thrown")))
    check_link(b)
  end)

  it("transfers of the thread out of C functions", function()
    local _, b = new_linked()
    local function in_sort()
      local t = { 2, 1 }
      table.sort(t, function(x, y) return coro.transfer(nil, x, y) end)
      return unpack(t)
    end
    local got = pack(coro.transfer(b, in_sort))
    repeat got = pack(coro.transfer(b, got[1] < got[2])) until got[1] == 1 and got[2] == 2
    check_link(b)
  end)

  it("transfers out of a standard coroutine that the thread runs", function()
    local _, b = new_linked()
    local inner
    coro.transfer(b, function()
      return standard.wrap(function()
        inner = coro.current()
        return coro.transfer(nil)
      end)()
    end)
    assert.are.equal("inner over", coro.transfer(inner, "inner over"))
    check_link(b)
  end)

  it("that the thread resumes others, which yield, finish and fail", function()
    local _, b = new_linked()
    local other = coro.create(function()
      coro.yield "yielded"
      return "finished"
    end)
    assert.are.same({ n = 2, true, "yielded" }, pack(coro.transfer(b, coro.resume, other)))
    assert.are.same({ n = 2, true, "finished" }, pack(coro.transfer(b, coro.resume, other)))
    assert.is_false((coro.transfer(b, coro.resume, coro.create(fail))))
    assert.are.equal("wrapped", coro.transfer(b, coro.wrap(function() return "wrapped" end)))
    check_link(b)
  end)

  it("that the thread's wait for another one is ended by a transfer", function()
    local _, b = new_linked()
    local other = new_puppet()
    coro.transfer(b, coro.resume, other, same)
    assert.are.same({ n = 2, true, "ended" }, pack(coro.transfer(b, "ended")))
    check_link(b)
  end)

  it("whatever other threads do meanwhile", function()
    local _, b = new_linked()
    for _ = 1, 20 do
      local x, y = new_linked()
      coro.transfer(y, coro.yield)
      coro.transfer(x, same)
      pcall(coro.transfer, coro.create(fail), "error")
      local numbers = coro.wrap(function() for i = 1, 3 do coro.yield(i) end end)
      for _ in numbers do collectgarbage "step" end
    end
    check_link(b)
  end)
end)

describe("resuming a thread that has a resumer", function()
  fixture.leaves_nothing(before_each, after_each)

  for _, what in ipairs { "yield", "results", "error" } do
    it("takes the link over: its " .. what .. " goes to the new one", function()
      local a, b = new_linked()
      local second = new_puppet()
      assert.are.equal("taken", coro.transfer(second, coro.resume, b, same, "taken"))
      assert.are.equal("normal", coro.status(second))
      local got
      if what == "yield" then
        got = pack(coro.transfer(b, coro.yield, 1))
        assert.are.same({ n = 2, true, 1 }, got)
      elseif what == "results" then
        got = pack(coro.transfer(b, finish, 1))
        assert.are.same({ n = 2, true, 1 }, got)
      else
        got = pack(coro.transfer(b, fail, "e"))
        assert.are.equal(3, got.n)
        assert.are.same({ false, "e" }, { got[1], got[2] })
      end
      assert.are.equal("suspended", coro.status(second))
      assert.are.equal("normal", coro.status(a))
      assert.are.same({ n = 2, true, "late" }, pack(coro.transfer(a, "late")))
    end)
  end

  it("takes the link over from main", function()
    local b = new_puppet()
    local second = new_puppet()
    local third = coro.create(function()
      coro.transfer(second, coro.resume, b, "taken")
    end)
    assert.are.same({ n = 2, true, "taken" },
                    pack(coro.resume(b, function() return coro.transfer(third) end)))
    -- The second resumed b with the value, which b brought to main.
    assert.are.same({ n = 2, true, "y" }, pack(coro.transfer(b, coro.yield, "y")))
  end)

  it("leaves the link alone when the first resumer is continued afterwards", function()
    local a, b = new_linked()
    local second = new_puppet()
    coro.transfer(second, coro.resume, b, same)
    assert.are.same({ n = 2, true, "first" }, pack(coro.transfer(a, "first")))
    assert.is_true(has_resumer(b))
    assert.are.same({ n = 2, true, "second" }, pack(coro.transfer(b, coro.yield, "second")))
  end)

  it("by the first resumer's own resumer works as for any other", function()
    local outer, b = new_puppet(), new_puppet()
    local a = new_puppet()
    coro.transfer(outer, coro.resume, a, coro.resume, b, same)
    coro.transfer(outer, "wait for a over")
    coro.transfer(outer, coro.resume, b, same)
    assert.are.same({ n = 2, true, "to outer" }, pack(coro.transfer(b, coro.yield, "to outer")))
    assert.are.equal("normal", coro.status(a))
  end)
end)

describe("resume of a thread suspended in", function()
  fixture.leaves_nothing(before_each, after_each)

  local function waiting_in(f, ...)
    local thread = new_puppet()
    coro.transfer(thread, f, ...)
    return thread
  end

  local ways = {
    transfer = { function() return waiting_in(coro.transfer, nil) end, { n = 2, 1, nil } },
    ptransfer = { function() return waiting_in(coro.ptransfer, nil) end, { n = 3, true, 1, nil } },
    yield = {
      function()
        local thread = new_puppet()
        coro.resume(thread, coro.yield)
        return thread
      end,
      { n = 2, 1, nil },
    },
    ["a standard yield"] = {
      function()
        local thread = new_puppet()
        coro.resume(thread, standard.yield)
        return thread
      end,
      { n = 2, 1, nil },
    },
    ["a transfer in table.sort"] = {
      function()
        return waiting_in(function()
          local got
          table.sort({ 1, 2 }, function()
            got = got or pack(coro.transfer(nil))
            return false
          end)
          return unpack(got, 1, got.n)
        end)
      end,
      { n = 2, 1, nil },
    },
  }
  for way, case in pairs(ways) do
    it(way .. " gives it the values as results, and makes the caller its resumer", function()
      local thread, expected = case[1](), case[2]
      -- The puppet takes the results to main, whose resume they end.
      local got = pack(coro.resume(thread, 1, nil))
      assert.is_true(got[1])
      assert.are.same(expected, { n = got.n - 1, unpack(got, 2, got.n) })
      local resumer = new_puppet()
      coro.transfer(resumer, coro.resume, thread, same)
      assert.are.same({ n = 2, true, "y" }, pack(coro.transfer(thread, coro.yield, "y")))
    end)

    it(way .. " gets its error", function()
      local thread = case[1]()
      coro.resume(thread)
      local value = {}
      local got = pack(coro.resume(thread, fail, value))
      assert.are.equal(3, got.n)
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
    end)
  end

  it("transfer ends when that thread transfers to the resumer", function()
    local thread, resumer = new_puppet(), new_puppet()
    coro.transfer(thread, same)
    local got = pack(coro.transfer(resumer, coro.resume, thread,
                                   coro.transfer, resumer, "direct", nil))
    assert.are.same({ n = 3, true, "direct", nil }, got)
  end)
end)

describe("a resumer that only its link reaches", function()
  fixture.leaves_nothing(before_each, after_each)

  local function weak(...) return setmetatable({ ... }, { __mode = "v" }) end

  -- Without `a` on the stack of the test.
  local function new_half_linked(way)
    local a, b = new_linked(way)
    return b, weak(a)
  end

  for _, way in ipairs(ways_to_resume) do
    it("is kept alive, waiting in " .. way, function()
      local b, reached = new_half_linked(way)
      fixture.collect()
      assert.are.equal("thread", type(reached[1]))
      assert.are.equal("normal", coro.status(reached[1]))
      assert.are.same(expected_by(way, 1, nil), pack(coro.transfer(b, coro.yield, 1, nil)))
    end)

    it("is kept alive while the resumed thread runs, waiting in " .. way, function()
      local b, reached = new_half_linked(way)
      assert.are.equal("thread", coro.transfer(b, function()
        fixture.collect()
        return type(reached[1])
      end))
      assert.are.same(expected_by(way, 1, nil), pack(coro.transfer(b, coro.yield, 1, nil)))
    end)

    it("is collected after its wait, waiting in " .. way, function()
      local b, reached = new_half_linked(way)
      coro.transfer(b, coro.yield) -- the resumer waits in a transfer to main now
      fixture.collect()
      assert.is_nil(reached[1])
      coro.transfer(b)
      assert_no_resumer(b)
    end)
  end

  it("is kept alive over transfers of the resumed thread and of others", function()
    local b, reached = new_half_linked()
    local c = new_puppet()
    local kinds = pack(coro.transfer(b, function()
      fixture.collect()
      local first = type(reached[1])
      local second = coro.transfer(c, function()
        fixture.collect()
        return coro.transfer(b, type(reached[1]))
      end)
      return first, second
    end))
    assert.are.same({ n = 2, "thread", "thread" }, kinds)
    assert.are.same({ n = 2, true, 1 }, pack(coro.transfer(b, coro.yield, 1)))
  end)

  it("is kept alive while the resumed thread runs others, out of C functions, too", function()
    local b, reached = new_half_linked()
    local got = pack(coro.transfer(b, function()
      local kind
      table.sort({ 1, 2 }, function()
        coro.wrap(function()
          standard.wrap(function()
            fixture.collect()
            kind = type(reached[1])
          end)()
        end)()
        return false
      end)
      return kind
    end))
    assert.are.same({ n = 1, "thread" }, got)
    assert.are.same({ n = 2, true, 1 }, pack(coro.transfer(b, coro.yield, 1)))
  end)

  it("is kept alive where a thread nested in the resumed one transferred", function()
    local inner, reached
    do
      local a, b = new_linked()
      coro.transfer(b, function()
        return standard.wrap(function()
          inner = coro.current()
          return coro.transfer(nil)
        end)()
      end)
      reached = weak(a, b)
    end
    fixture.collect()
    assert.are.equal("thread", type(reached[1]))
    local second = reached[2]
    assert.are.equal("inner over", coro.transfer(inner, "inner over"))
    assert.are.same({ n = 2, true, 1 }, pack(coro.transfer(second, coro.yield, 1)))
  end)

  it("is collected after somebody else took the link over", function()
    local b, reached = new_half_linked()
    local second = new_puppet()
    coro.transfer(second, coro.resume, b, same)
    fixture.collect()
    assert.is_nil(reached[1])
    assert.are.same({ n = 2, true, 1 }, pack(coro.transfer(b, coro.yield, 1)))
  end)

  it("is kept alive by the last of a chain, with everybody in between", function()
    local last
    local reached = weak()
    do
      local chain = {}
      for i = 1, 6 do chain[i] = new_puppet() end
      coro.transfer(chain[1], same)
      for i = 1, 5 do coro.transfer(chain[i], coro.resume, chain[i + 1], same) end
      for i = 1, 5 do reached[i] = chain[i] end
      last = chain[6]
    end
    fixture.collect()
    for i = 1, 5 do assert.are.equal("normal", coro.status(reached[i])) end
    -- Each that gets it hands on what the one before finished with.
    local chain = { unpack(reached, 1, 5) }
    assert.are.same({ n = 2, true, 6 }, pack(coro.transfer(last, finish, 6)))
    for i = 5, 2, -1 do
      assert.are.same({ n = 2, true, i }, pack(coro.transfer(chain[i], finish, i)))
    end
  end)

  it("is collected together with the resumed thread when nothing reaches either", function()
    local reached
    do
      local a, b = new_linked()
      reached = weak(a, b)
    end
    fixture.collect()
    assert.is_nil(reached[1])
    assert.is_nil(reached[2])
  end)
end)

describe("a chain of resumers", function()
  fixture.leaves_nothing(before_each, after_each)

  it("passes values out by yields and in by resumes", function()
    local function level(n)
      return coro.create(function(x)
        if n == 0 then
          while true do x = coro.yield(x .. "0") end
        end
        local inner = level(n - 1)
        while true do
          local _, y = coro.resume(inner, x .. n)
          x = coro.yield(y .. n)
        end
      end)
    end
    local outer = level(5)
    assert.are.same({ n = 2, true, "a54321012345" }, pack(coro.resume(outer, "a")))
    assert.are.same({ n = 2, true, "b54321012345" }, pack(coro.resume(outer, "b")))
  end)

  local function new_chain(n)
    local chain = {}
    for i = 1, n do chain[i] = new_puppet() end
    coro.transfer(chain[1], same)
    for i = 1, n - 1 do coro.transfer(chain[i], coro.resume, chain[i + 1], same) end
    return chain
  end

  it("is cut where one in the middle is continued, and holds on both sides", function()
    local chain = new_chain(4)
    local a, b, c, d = unpack(chain)
    assert.are.same({ n = 2, true, "cut" }, pack(coro.transfer(b, "cut")))
    assert.are.same({ "normal", "suspended", "normal", "suspended" },
                    { coro.status(a), coro.status(b), coro.status(c), coro.status(d) })
    assert.are.same({ n = 2, true, "d to c" }, pack(coro.transfer(d, coro.yield, "d to c")))
    assert_no_resumer(c)
    assert.are.same({ n = 2, true, "b to a" }, pack(coro.transfer(b, coro.yield, "b to a")))
  end)

  it("lets each be continued from the outermost inwards", function()
    local chain = new_chain(5)
    for i = 1, 4 do
      assert.are.same({ n = 2, true, i }, pack(coro.transfer(chain[i], i)))
      assert.are.equal("suspended", coro.status(chain[i]))
    end
    for i = 1, 5 do assert_no_resumer(chain[i]) end
  end)

  it("of a hundred hands the last one's end to each in turn", function()
    local chain = new_chain(100)
    for i = 100, 2, -1 do
      assert.are.equal("normal", coro.status(chain[i - 1]))
      assert.are.same({ n = 2, true, i }, pack(coro.transfer(chain[i], finish, i)))
    end
    assert_no_resumer(chain[1])
  end)

  it("hands an error up as long as it is raised again", function()
    local chain = new_chain(10)
    local value = {}
    for i = 10, 2, -1 do
      local got = pack(coro.transfer(chain[i], fail, value))
      assert.is_false(got[1])
      assert.are.equal(value, got[2])
    end
    local ok, err = pcall(coro.transfer, chain[1], fail, value)
    assert.is_false(ok)
    assert.are.equal(value, err)
  end)

  it("of resume, wrap and the standard library returns level by level", function()
    local trace = {}
    local function nest(kinds, i)
      local kind = kinds:sub(i, i)
      local function inner()
        if i < #kinds then nest(kinds, i + 1) else coro.transfer(nil, "at the bottom") end
        trace[#trace + 1] = kind .. i
      end
      if kind == "r" then assert(coro.resume(coro.create(inner)))
      elseif kind == "w" then coro.wrap(inner)()
      elseif kind == "R" then assert(standard.resume(standard.create(inner)))
      else standard.wrap(inner)() end
    end
    for _, kinds in ipairs { "rw", "wr", "rR", "Rr", "rWwR", "WrRw", "rrwwRRWW", "WWRRwwrr" } do
      trace = {}
      local bottom
      local outer = coro.create(function()
        nest(kinds, 1)
        coro.transfer(nil, "over")
      end)
      local original = coro.transfer
      local expected = {}
      for i = #kinds, 1, -1 do expected[#expected + 1] = kinds:sub(i, i) .. i end
      -- The innermost thread says who it is.
      coro.transfer = function(to, ...)
        bottom = coro.current()
        return original(to, ...)
      end
      local first = original(outer)
      coro.transfer = original
      assert.are.equal("at the bottom", first)
      assert.are.equal("over", coro.transfer(bottom))
      assert.are.same(expected, trace)
    end
  end)
end)
