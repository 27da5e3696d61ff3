local fixture = require "fixture"
local coro, standard = fixture.coro, fixture.standard

describe("install", function()
  fixture.leaves_nothing(before_each, after_each)

  local environment = _G
  after_each(function()
    environment.coroutine = standard
    package.loaded.coroutine = standard
  end)

  it("replaces the standard table and returns it", function()
    assert.are.equal(standard, coro.install())
    assert.are.equal(coro, environment.coroutine)
    assert.are.equal(coro, require "coroutine")
  end)

  it("is harmless when called again", function()
    coro.install()
    assert.are.equal(standard, coro.install())
    assert.are.equal(coro, environment.coroutine)
  end)

  it("has everything that the standard table has", function()
    for name, value in pairs(standard) do
      assert.are.equal(type(value), type(coro[name]), name)
    end
  end)

  it("serves code that kept the standard functions before", function()
    local yield, wrap = standard.yield, standard.wrap
    local create, resume = standard.create, standard.resume
    coro.install()
    -- A kept yield in a thread of coro's,
    local generator = coro.wrap(function()
      yield(1)
      yield(2)
    end)
    assert.are.same({ 1, 2 }, { generator(), generator() })
    generator()
    -- a kept wrap around code that yields by coro,
    generator = wrap(function() coro.yield(3) end)
    assert.are.equal(3, generator())
    -- and both with transfers in between.
    local thread = coro.create(function()
      local inner = create(function()
        coro.transfer(nil, "from inside")
        yield "to the standard resume"
      end)
      coro.transfer(nil, select(2, resume(inner)))
    end)
    assert.are.equal("from inside", coro.transfer(thread))
  end)
end)

describe("require", function()
  it("finds the standard library where package.loaded does not have it", function()
    local output = fixture.run [[
      local standard = coroutine
      package.loaded.coroutine = nil
      local coro = require "coro"
      assert(coro.install() == standard and coroutine == coro)
    ]]
    assert.are.equal("end of program\nexit status 0\n", output)
  end)

  it("gives the same module again", function()
    package.loaded.coro = nil
    assert.are.equal(coro, require "coro")
  end)
end)
