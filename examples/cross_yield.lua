-- `safewrap` gives a generator a `yield` of its own, which always goes back to the generator's
-- caller, even from inside another generator that runs in it.
local coro = require "coro"

-- The leaves of a tree, by generators inside generators: one for each branch.
local function branches(node)
  return coro.wrap(function()
    for _, child in ipairs(node) do coro.yield(child) end
  end)
end

-- Looks at every leaf; `visit` is called as many generators deep as the leaf lies in the tree.
local function walk(node, visit)
  if type(node) ~= "table" then return visit(node) end
  coro.wrap(function()
    for child in branches(node) do walk(child, visit) end
  end)()
end

local function leaves(tree)
  return coro.safewrap(function(yield)
    -- `coro.yield` would go to the generator around the leaf; `yield` goes to the loop below.
    walk(tree, yield)
  end)
end

local seen = {}
for leaf in leaves { "a", { "b", { "c", "d" } }, { { { "e" } } } } do
  print(leaf)
  seen[#seen + 1] = leaf
end
assert(table.concat(seen, " ") == "a b c d e")

-- What the caller passes comes back from `yield`, however deep it stands.
local heard
local talk, thread = coro.safewrap(function(yield)
  walk({ { "hello" } }, function(leaf) heard = yield(leaf) end)
end)
assert(talk() == "hello")
-- Like any thread in whose generator something waits.
assert(coro.status(thread) == "normal")
talk "good day"
assert(heard == "good day" and coro.status(thread) == "dead")
