local fixture = require "fixture"
local coro, pack = fixture.coro, fixture.pack

describe("safewrap", function()
  fixture.leaves_nothing(before_each, after_each)

  it("returns a function and its thread", function()
    local f, thread = coro.safewrap(function() end)
    assert.are.equal("function", type(f))
    assert.are.equal("thread", type(thread))
    assert.are.equal("suspended", coro.status(thread))
    f()
    assert.are.equal("dead", coro.status(thread))
  end)

  it("passes values like wrap, with the function's own yield first", function()
    local f = coro.safewrap(function(yield, ...)
      local first = pack(...)
      local second = pack(yield(first.n, nil))
      return second.n, nil
    end)
    assert.are.same({ n = 2, 2 }, pack(f(nil, nil)))
    assert.are.same({ n = 2, 3 }, pack(f(nil, nil, nil)))
  end)

  it("raises for a function that finished", function()
    local f = coro.safewrap(function(yield) yield() end)
    f()
    f()
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.are.equal("cannot resume dead coroutine", err)
  end)

  it("yields to the wrapper's caller from a thread nested inside", function()
    local f = coro.safewrap(function(yield)
      local inner = coro.wrap(function()
        coro.yield "to the function"
        local back = yield "to the caller"
        coro.yield(back .. " again")
      end)
      return inner(), inner(), inner()
    end)
    assert.are.equal("to the caller", f())
    assert.are.same({ n = 2, "to the function", "inside again" }, pack(f "inside"))
  end)

  it("cross-yields from three deep, in a loop, between two wrappers", function()
    local function numbers(from)
      return coro.safewrap(function(yield)
        coro.wrap(function()
          coro.wrap(function()
            coro.wrap(function()
              for i = from, from + 4 do yield(i) end
            end)()
          end)()
        end)()
        return "end"
      end)
    end
    local a, b, got = numbers(1), numbers(101), {}
    for _ = 1, 6 do
      got[#got + 1] = a()
      got[#got + 1] = b()
    end
    assert.are.same({ 1, 101, 2, 102, 3, 103, 4, 104, 5, 105, "end", "end" }, got)
  end)

  it("cross-yields any number of times", function()
    local f = coro.safewrap(function(yield)
      coro.wrap(function()
        for i = 1, 10000 do yield(i) end
      end)()
    end)
    coro.wrap(function()
      for i = 1, 10000 do assert.are.equal(i, f()) end
    end)()
  end)

  it("'s yield from main leaves main what can be transferred to, not resumed", function()
    local generator_yield
    local caller = coro.create(function()
      local f = coro.safewrap(function(yield)
        generator_yield = yield
        coro.transfer(nil)
      end)
      f()
      local resumed, err = coro.resume(coro.main)
      coro.transfer(nil, resumed, err)
    end)
    coro.transfer(caller)
    local resumed, err = generator_yield()
    assert.is_false(resumed)
    assert.matches("cannot resume", err)
  end)

  it("is refused to its own function, as wrap is", function()
    local f, thread
    f, thread = coro.safewrap(function(yield)
      coro.resume(coro.create(yield), "first")
      coro.transfer(nil, pcall(f, 1))
    end)
    assert.are.equal("first", f())
    local ok, err = coro.transfer(thread)
    assert.is_false(ok)
    assert.matches("^cannot resume ", err)
  end)

  it("raises when its yield is called and only the thread was resumed that runs it", function()
    local own
    local _, thread = coro.safewrap(function(yield)
      own = yield
      coro.transfer(nil, "away")
    end)
    local outer = coro.create(function() fixture.standard.resume(thread) end)
    local resumer = coro.create(function()
      coro.resume(outer)
      coro.transfer(nil, "the resumer goes on")
    end)
    assert.are.equal("away", coro.transfer(resumer))
    local ok, err = pcall(own)
    assert.is_false(ok)
    assert.matches("attempt to yield from a coroutine that was not resumed", err)
  end)

  it("cross-yields from inside sort", function()
    local f = coro.safewrap(function(yield)
      local t = { 3, 1, 2 }
      coro.wrap(function()
        table.sort(t, function(x, y)
          yield "comparing"
          return x < y
        end)
      end)()
      return table.concat(t, " ")
    end)
    local result
    repeat result = f() until result ~= "comparing"
    assert.are.equal("1 2 3", result)
  end)

  it("goes back to whoever called it last", function()
    local f = coro.safewrap(function(yield)
      while true do yield(coro.status(coro.main)) end
    end)
    assert.are.equal("normal", f())
    local thread = coro.create(function()
      local got = f()
      coro.transfer(nil, "in the thread", got)
    end)
    assert.are.same({ n = 2, "in the thread", "suspended" }, pack(coro.transfer(thread)))
    assert.are.equal("normal", f())
  end)

  it("lets the function yield by coro.yield, too", function()
    local f = coro.safewrap(function(yield)
      coro.wrap(function() yield(1) end)()
      coro.yield(2)
      yield(3)
      return 4
    end)
    assert.are.same({ 1, 2, 3, 4 }, { f(), f(), f(), f() })
  end)

  it("survives its inner thread's transfers", function()
    local inner
    local f = coro.safewrap(function(yield)
      coro.wrap(function()
        inner = coro.current()
        yield(coro.transfer(coro.main, "waiting"))
      end)()
      return "end"
    end)
    local thread = coro.create(function()
      local got = f()
      coro.transfer(nil, "caller got " .. got)
    end)
    assert.are.equal("waiting", coro.transfer(thread))
    assert.are.equal("caller got event", coro.transfer(inner, "event"))
    assert.are.equal("end", f())
  end)

  it("raises what the function raises, in the caller", function()
    local f = coro.safewrap(function(yield)
      yield()
      error({ "e" })
    end)
    f()
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.are.same({ "e" }, err)
    assert.is_false(pcall(f))
  end)

  it("yields for a thread outside while the function waits in a standard coroutine", function()
    local own
    local f = coro.safewrap(function(yield)
      own = yield
      fixture.standard.wrap(function() coro.transfer(nil, "inside") end)()
    end)
    local caller = coro.create(function() coro.transfer(nil, "the caller got", f()) end)
    assert.are.equal("inside", coro.transfer(caller))
    local outside = coro.create(function()
      coro.transfer(nil, "the thread outside got", own "its value")
    end)
    assert.are.same({ n = 2, "the caller got", "its value" }, pack(coro.transfer(outside)))
    assert.are.same({ n = 2, "the thread outside got", "an answer" }, pack(f "an answer"))
  end)

  it("raises when the thread that it would continue calls it", function()
    local f, inner
    f = coro.safewrap(function(yield)
      coro.wrap(function()
        inner = coro.current()
        yield(1)
        coro.transfer(nil, pcall(f))
      end)()
    end)
    assert.are.equal(1, f())
    local ok, err = coro.transfer(inner)
    assert.is_false(ok)
    assert.matches("cannot resume ", err)
  end)

  it("raises when its yield is called and nobody waits", function()
    local own
    local f = coro.safewrap(function(yield)
      own = yield
      yield()
    end)
    f()
    local ok, err = pcall(own, 1)
    assert.is_false(ok)
    assert.matches("attempt to yield from a coroutine that was not resumed", err)
    f()
  end)

  it("takes no room for each value that a nested thread yields", function()
    local f = coro.safewrap(function(yield)
      coro.wrap(function()
        for i = 1, 30000 do yield(i) end
      end)()
    end)
    for i = 1, 30000 do
      if f() ~= i then error("not " .. i) end
    end
    f()
  end)
end)
