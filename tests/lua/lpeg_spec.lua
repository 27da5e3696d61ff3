-- LPeg: a C library that calls Lua in the middle of a match.
local fixture = require "fixture"
local coro, collect = fixture.coro, fixture.collect
local lpeg, re = require "lpeg", require "re"

-- Calls `found` with each word of the subject.
local function words(found)
  local word = lpeg.R("az", "AZ") ^ 1
  return (lpeg.Cmt(lpeg.C(word), function(_, position, text)
    found(text)
    return position
  end) + 1) ^ 0
end

describe("LPeg's captures at match time", function()
  fixture.leaves_nothing(before_each, after_each)

  it("yield, which makes a generator of a match", function()
    local function tokens(subject)
      return coro.wrap(function() words(coro.yield):match(subject) end)
    end
    local got = {}
    for a in tokens "one two, three" do
      for b in tokens "x y" do got[#got + 1] = a .. b end
    end
    assert.are.same({ "onex", "oney", "twox", "twoy", "threex", "threey" }, got)
  end)

  it("transfer to each other in the middle of their matches", function()
    local got, threads = {}, {}
    local pattern
    local function found(text)
      got[#got + 1] = text
      local me = coro.current()
      coro.transfer(me == threads[1] and threads[2] or threads[1])
    end
    pattern = words(found)
    for i, subject in ipairs { "a c e", "b d f" } do
      threads[i] = coro.create(function()
        pattern:match(subject)
        coro.transfer(nil)
      end)
    end
    coro.transfer(threads[1])
    assert.are.equal("a b c d e f", table.concat(got, " "))
    assert.are.equal("suspended", coro.status(threads[1]))
    assert.are.equal("suspended", coro.status(threads[2]))
  end)

  it("get what the thread is continued with, and the match goes by it", function()
    local digit = lpeg.Cmt(lpeg.R "09", function(_, position, text)
      return coro.yield(text) and position
    end)
    local thread = coro.create(function() return lpeg.C(digit ^ 0):match "1234" end)
    assert.are.same({ true, "1" }, { coro.resume(thread) })
    assert.are.same({ true, "2" }, { coro.resume(thread, true) })
    assert.are.same({ true, "3" }, { coro.resume(thread, true) })
    assert.are.same({ true, "12" }, { coro.resume(thread, false) })
  end)

  it("raise what is thrown at them, out of the match", function()
    local thread = coro.create(function()
      coro.transfer(nil, pcall(lpeg.match, words(function() coro.transfer(nil) end), "word"))
    end)
    coro.transfer(thread)
    local ok, err = coro.throw(thread, "broken off")
    assert.is_false(ok)
    assert.are.equal("broken off", err)
  end)

  it("are dropped with their thread", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      local object = {}
      local thread = coro.create(function()
        words(function() coro.transfer(nil, object) end):match "word"
        return object
      end)
      coro.transfer(thread)
      weak.thread, weak.object = thread, object
    end
    collect()
    assert.is_nil(weak.thread)
    assert.is_nil(weak.object)
  end)

  it("may match without end, until Lua's own error", function()
    local pattern
    local function again() return pattern:match "x" end
    pattern = lpeg.Cmt(lpeg.P "x", again)
    local ok, err = coro.resume(coro.create(function()
      local ok, err = pcall(again)
      return ok, tostring(err)
    end))
    assert.is_true(ok)
    assert.is_false(err)
  end)
end)

describe("LPeg's other functions", function()
  fixture.leaves_nothing(before_each, after_each)

  it("yield from function captures, folds and re's definitions", function()
    local each = lpeg.C(1) / function(text) return coro.yield(text) end
    local sum = lpeg.Cf(lpeg.Cc(0) * (lpeg.C(1) / tonumber) ^ 1, function(a, b)
      coro.yield(a)
      return a + b
    end)
    local grammar = re.compile("{| ({%a+} -> ask %s*)* |}", { ask = function(text)
      return coro.yield(text)
    end })
    local thread = coro.create(function()
      return lpeg.Ct(each ^ 0):match "ab", sum:match "123", grammar:match "x yz"
    end)
    local asked = {}
    local results = { coro.resume(thread) }
    while coro.status(thread) == "suspended" do
      asked[#asked + 1] = results[2]
      results = { coro.resume(thread, tostring(results[2]) .. "!") }
    end
    assert.are.same({ "a", "b", 0, 1, 3, "x", "yz" }, asked)
    assert.are.same({ true, { "a!", "b!" }, 6, { "x!", "yz!" } }, results)
  end)
end)
