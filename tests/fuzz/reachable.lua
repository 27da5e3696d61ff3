-- Which threads a collection leaves, by the model's references.
--
-- Certain to be there is what a Lua value refers to, the resumer as long as the link holds, and the
-- nest. It may still be there if something on a Lua stack refers to it that nobody needs any more:
-- the resumer of a link that holds no more, the frames of a thread that failed.
local model = require "model"

local reachable = {}

local function mark(m, set, T, generous)
  if not T or set[T] then return end
  set[T] = true
  local function mark_all(threads)
    for _, X in ipairs(threads or {}) do mark(m, set, X, generous) end
  end
  if T.state ~= "dead" then
    mark(m, set, T.above, generous)
    mark(m, set, T.below, generous)
    mark(m, set, model.resumer(T), generous)
    -- The yield that the function of a safewrap got refers to who is continued next.
    mark(m, set, T.inner, generous)
    mark_all(T.pending and T.pending.refers)
  end
  if generous then
    mark(m, set, T.inner, generous)
    mark(m, set, T.link and T.link.thread, generous)
    mark_all(T.refers)
  end
end

local function roots(m, generous)
  local set = {}
  mark(m, set, m.main, generous)
  mark(m, set, m.current, generous)
  for _, T in ipairs(m.order) do
    if not T.dropped then
      mark(m, set, T, generous)
      mark(m, set, T.inner, generous)
    end
  end
  return set
end

-- What a collection leaves to see: which of the dropped threads are gone, how many threads made by
-- coro are alive, and how many of them are pinned. `maybe`: the names of those that may be there.
function reachable.after_collection(m)
  local certain, possible = roots(m, false), roots(m, true)
  local left = { gone = {}, threads = 0, pinned = 0, maybe = nil }
  for _, T in ipairs(m.order) do
    if certain[T] then
      local is_alive = T.state ~= "dead"
      if is_alive and not T.standard then left.threads = left.threads + 1 end
      local is_pinned = T.state == "suspended" and (T.below or not m:may_leave(T))
      if is_pinned and not m:is_on_host(T) then left.pinned = left.pinned + 1 end
    elseif possible[T] then
      left.maybe = left.maybe or {}
      left.maybe[T.name] = true
    end
  end
  for _, T in ipairs(m.dropped) do
    if not possible[T] then left.gone[#left.gone + 1] = T.name end
  end
  return left
end

return reachable
