-- What is meant to differ from the standard library; docs/reference.md lists it.
local fixture = require "fixture"
local coro, standard = fixture.coro, fixture.standard
local pack, unpack = fixture.pack, fixture.unpack

describe("unlike in the standard library,", function()
  fixture.leaves_nothing(before_each, after_each)

  it("resume gives a traceback as third result after an error", function()
    local function body() error("text", 0) end
    assert.are.same({ n = 2, false, "text" }, pack(standard.resume(standard.create(body))))
    local thread = coro.create(body)
    local got = pack(coro.resume(thread))
    assert.are.same({ n = 3, false, "text", debug.traceback(thread) }, got)
  end)

  it("there are only two results where nothing was run", function()
    local dead = coro.create(function() end)
    coro.resume(dead)
    assert.are.same({ n = 2, false, "cannot resume dead coroutine" }, pack(coro.resume(dead)))
  end)

  it("yield raises in a thread that was transferred to", function()
    local thread = coro.create(function() coro.transfer(nil, pcall(coro.yield)) end)
    local ok, err = coro.transfer(thread)
    assert.is_false(ok)
    assert.matches("attempt to yield from a coroutine that was not resumed", err)
  end)

  it("isyieldable, close and C functions as bodies are there in every version", function()
    local thread = coro.create(coro.yield)
    assert.are.same({ n = 2, true, "out" }, pack(coro.resume(thread, "out")))
    assert.is_true(coro.isyieldable(thread))
    assert.is_false(coro.isyieldable())
    assert.are.same({ n = 1, true }, pack(coro.close(thread)))
    assert.are.equal("dead", coro.status(thread))
    assert.are.same({ n = 3, true, 7, nil }, pack(coro.resume(coro.create(coro.yield), 7, nil)))
  end)

  if standard.isyieldable and not jit then
    it("isyieldable is true inside a function that C calls", function()
      local function inside(co)
        local yieldable
        assert(co.resume(co.create(function()
          table.sort({ 2, 1 }, function() yieldable = co.isyieldable() end)
        end)))
        return yieldable
      end
      assert.is_false(inside(standard))
      assert.is_true(inside(coro))
    end)
  end

  it("yield in main raises the standard's error", function()
    assert.are.same(pack(pcall(standard.yield, 1)), pack(pcall(coro.yield, 1)))
  end)

  it("yield leaves what the standard's cannot leave", function()
    local function body(co)
      return function()
        local t = { 2, 1 }
        table.sort(t, function(a, b) return co.yield(a, b) end)
        return unpack(t)
      end
    end
    local by_standard = pack(standard.resume(standard.create(body(standard))))
    assert.is_false(by_standard[1])
    assert.matches("^attempt to yield across ", by_standard[2])
    local thread = coro.create(body(coro))
    local got = pack(coro.resume(thread))
    while coro.status(thread) ~= "dead" do got = pack(coro.resume(thread, got[2] < got[3])) end
    assert.are.same({ n = 3, true, 1, 2 }, got)
  end)
end)
