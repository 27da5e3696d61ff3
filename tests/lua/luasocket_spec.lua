-- LuaSocket: protected calls made in C, and sources and sinks that are pumped.
local fixture = require "fixture"
local coro = fixture.coro
local socket, ltn12 = require "socket", require "ltn12"

describe("LuaSocket", function()
  fixture.leaves_nothing(before_each, after_each)

  it("protects functions that wait", function()
    local closed
    local try = socket.newtry(function() closed = true end)
    local protected = socket.protect(function(x)
      local y = coro.transfer(nil, x)
      return try(coro.transfer(nil, y))
    end)
    local function run(last)
      local thread = coro.create(function() coro.transfer(nil, protected "a") end)
      assert.are.equal("a", coro.transfer(thread))
      assert.are.equal("b", coro.transfer(thread, "b"))
      return coro.transfer(thread, fixture.unpack(last, 1, last.n))
    end
    assert.are.equal("fine", run { n = 1, "fine" })
    assert.is_nil(closed)
    assert.are.same({ n = 2, nil, "broken" }, fixture.pack(run { n = 2, nil, "broken" }))
    assert.is_true(closed)
  end)

  it("lets other errors out of a protected function that waited", function()
    local protected = socket.protect(function()
      coro.transfer(nil)
      error { "of mine" }
    end)
    local thread = coro.create(function() coro.transfer(nil, pcall(protected)) end)
    coro.transfer(thread)
    assert.are.same({ n = 2, false, { "of mine" } }, fixture.pack(coro.transfer(thread)))
  end)

  it("pumps from a generator into a thread", function()
    local chunks = {}
    local consumer = coro.create(function(chunk)
      while chunk do
        chunks[#chunks + 1] = chunk
        chunk = coro.yield(1)
      end
      return 1
    end)
    local source = coro.wrap(function()
      for chunk in ("to be pumped"):gmatch "%a+" do coro.yield(chunk) end
    end)
    local sink = function(chunk) return select(2, assert(coro.resume(consumer, chunk))) end
    local function upper(chunk) return chunk and chunk:upper() end
    assert.are.equal(1, ltn12.pump.all(ltn12.source.chain(source, upper), sink))
    assert.are.same({ "TO", "BE", "PUMPED" }, chunks)
  end)
end)
