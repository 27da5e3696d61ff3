-- `install` puts coro in the place of the standard library: code that was never written for it can
-- then yield where it could not, and be left by `transfer` from anywhere inside.
local coro = require "coro"

-- The existing code: it only knows the standard `coroutine`.
local function words(text)
  return coroutine.wrap(function()
    text:gsub("%a+", function(word) coroutine.yield(word) end)
  end)
end

local function translated(text, translate)
  return coroutine.wrap(function()
    for word in words(text) do coroutine.yield(translate(word)) end
  end)
end

-- Without coro a yield cannot leave `string.gsub`.
local ok, err = pcall(words "one two")
assert(not ok and err:find "attempt to yield across")
print "before install: a yield cannot leave string.gsub"

local standard = coro.install()
assert(coroutine == coro and standard.wrap ~= coro.wrap)

-- A dictionary that answers later: whoever looks a word up is suspended until main has it.
local dictionary = { one = "un", two = "deux", three = "trois" }
local function look_up(word) return coro.transfer(nil, word, coro.current()) end

local got = {}
local reader = coro.create(function()
  for word in translated("one, two, three", look_up) do got[#got + 1] = word end
  coro.transfer(nil)
end)

local word, waiting = coro.transfer(reader)
while word do
  print("after install: waits for the translation of " .. word)
  -- Straight into the generator that asked, which is not the thread that main started.
  assert(waiting ~= reader and coro.status(reader) == "normal")
  word, waiting = coro.transfer(waiting, dictionary[word])
end
print("after install: " .. table.concat(got, " "))
assert(table.concat(got, " ") == "un deux trois")
