-- A generator whose producer waits for callbacks, unnoticed by whoever pulls from it.
-- By a standard yield the producer could only go back to its consumer; `transfer` takes it to the
-- event loop in main, and from there back into the producer.
local coro = require "coro"

-- An event source as libraries offer it: `on_next` returns at once, and `run` calls back later.
local source = { callbacks = {} }

function source.on_next(callback) table.insert(source.callbacks, callback) end

function source.run(events)
  for _, event in ipairs(events) do table.remove(source.callbacks, 1)(event) end
end

-- The next event, as if waiting for it blocked.
local function next_event()
  local thread = coro.current()
  source.on_next(function(event) coro.transfer(thread, event) end)
  return coro.transfer(nil)
end

-- A generator of sentences out of words, which arrive as events.
local function sentences()
  return coro.wrap(function()
    local words = {}
    while true do
      local word = next_event()
      words[#words + 1] = word
      if word:sub(-1) == "." then
        coro.yield(table.concat(words, " "))
        words = {}
      end
    end
  end)
end

local heard = {}
for reader = 1, 2 do
  coro.transfer(coro.create(function()
    for sentence in sentences() do
      print(("reader %d: %s"):format(reader, sentence))
      heard[#heard + 1] = reader .. sentence
    end
  end))
end

-- Both readers wait in their generators; the words come for one and the other in turn.
source.run { "Generators", "Nobody", "can", "noticed.", "wait.", "The", "Bye.", "end." }
assert(table.concat(heard, " ") == "2Nobody noticed. 1Generators can wait. 1Bye. 2The end.")
