-- Suspending where the standard library cannot: in a comparator of table.sort, in a callback of
-- string.gsub, in a metamethod.
local coro = require "coro"

-- Each of these asks main something by `ask`, in the middle of a C function.
local ask = coro.yield

local function sort(items)
  table.sort(items, function(a, b) return ask("is " .. a .. " less than " .. b) end)
  return table.concat(items, " ")
end

local function substitute(text)
  return (text:gsub("%$(%a+)", function(name) return ask("value of " .. name) end))
end

local function add(a, b)
  local operand = { __add = function(x, y) return ask(("sum of %d and %d"):format(x[1], y[1])) end }
  return setmetatable({ a }, operand) + setmetatable({ b }, operand)
end

local function answer(question)
  local a, b = question:match "^is (%a+) less than (%a+)$"
  if a then return a < b end
  a, b = question:match "^sum of (%d+) and (%d+)$"
  if a then return a + b end
  return question:match "^value of (%a+)$":upper()
end

-- Answers what a function asks until it returns.
local function run(f, ...)
  local thread, questions = coro.create(f), 0
  local ok, value = coro.resume(thread, ...)
  while ok and coro.status(thread) == "suspended" do
    questions = questions + 1
    ok, value = coro.resume(thread, answer(value))
  end
  return assert(ok and value, value), questions
end

local sorted, comparisons = run(sort, { "pear", "fig", "apple", "plum" })
print("sorted: " .. sorted)
assert(sorted == "apple fig pear plum" and comparisons >= 3)

local text, substitutions = run(substitute, "dear $name, $greeting")
print("substituted: " .. text)
assert(text == "dear NAME, GREETING" and substitutions == 2)

local sum, additions = run(add, 40, 2)
print(("added: %d"):format(sum))
assert(sum == 42 and additions == 1)
