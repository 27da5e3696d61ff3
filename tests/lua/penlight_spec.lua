-- Penlight: a library in Lua that takes functions and iterators wherever it can.
local fixture = require "fixture"
local coro = fixture.coro
local guests = require "guests"

guests.each_order(function(order, load)
  describe("Penlight, " .. order .. ",", function()
    after_each(guests.leave)
    fixture.leaves_nothing(before_each, after_each)

    -- Calls f in a thread whose calls of `ask` wait, wherever they are made, for
    -- `answer(question)`, given by main.
    local function answered(f, answer)
      local function ask(...) return coro.transfer(nil, coro.current(), ...) end
      local thread = coro.create(function() coro.transfer(nil, nil, f(ask)) end)
      local got = fixture.pack(coro.transfer(thread))
      while got[1] do
        got = fixture.pack(coro.transfer(got[1], answer(fixture.unpack(got, 2, got.n))))
      end
      return fixture.unpack(got, 2, got.n)
    end

    it("sorts lists by a comparison that waits", function()
      local List = load "pl.List"
      local function less(a, b) return a < b end
      assert.are.same({ 1, 2, 3, 4, 5 }, answered(function(ask)
        local sorted = List { 3, 1, 5, 2, 4 }
        sorted:sort(ask)
        return { fixture.unpack(sorted) }
      end, less))
      assert.are.same({ 1, 2, 3 }, answered(function(ask)
        local sorted = {}
        for _, value in load "pl.tablex".sortv({ a = 3, b = 1, c = 2 }, ask) do
          sorted[#sorted + 1] = value
        end
        return sorted
      end, less))
    end)

    it("maps, filters and reduces by functions that wait", function()
      local tablex, List = load("pl.tablex", "pl.List")
      local function double(x) return 2 * x end
      assert.are.same({ a = 2, b = 4 }, answered(function(ask)
        return tablex.map(ask, { a = 1, b = 2 })
      end, double))
      assert.are.equal(6, answered(function(ask)
        return List({ 1, 2, 3 }):reduce(ask)
      end, function(a, b) return a + b end))
      assert.are.same({ 2, 4 }, answered(function(ask)
        return { fixture.unpack(List({ 1, 2, 3, 4 }):filter(ask)) }
      end, function(x) return x % 2 == 0 end))
    end)

    it("takes generators as sequences, which wait", function()
      local seq = load "pl.seq"
      assert.are.same({ 20, 40, 60 }, answered(function(ask)
        local numbers = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(ask(i)) end end)
        return { fixture.unpack(seq(numbers):map(function(x) return 2 * x end):copy()) }
      end, function(x) return 10 * x end))
      assert.are.same({ { 1, "a" }, { 2, "b" } }, answered(function(ask)
        local pairs_of = {}
        local letters = coroutine.wrap(function()
          for letter in ("ab"):gmatch "." do coroutine.yield(ask(letter)) end
        end)
        for number, letter in seq.zip({ 1, 2 }, letters) do
          pairs_of[#pairs_of + 1] = { number, letter }
        end
        return pairs_of
      end, function(x) return x end))
    end)

    it("builds classes whose metamethods wait", function()
      local class = load "pl.class"
      assert.are.same({ "3 apples", true, 3 }, answered(function(ask)
        local Counted = class()
        function Counted:_init(n, what) self.n, self.what = ask(n), what end
        function Counted:__tostring() return ask(self.n) .. " " .. self.what end
        function Counted.__eq(a, b) return ask(a.n) == ask(b.n) end
        function Counted:count() return ask(self.n) end
        local apples = Counted(3, "apples")
        return { tostring(apples), apples == Counted(3, "pears"), apples:count() }
      end, function(x) return x end))
    end)

    it("expands templates that wait", function()
      local template = load "pl.template"
      assert.are.equal("<li>A</li><li>B</li>", (answered(function(ask)
        local text = template.substitute("<li>$(ask 'a')</li><li>$(ask 'b')</li>", { ask = ask })
        return text
      end, string.upper)))
    end)
  end)
end)
