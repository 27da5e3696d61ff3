-- Who stays mounted: the policy (src/threads/mounting.h) with its usual number of warm stacks, and
-- both extremes. A step of a generator, which is one of a set that are stepped in turn:
--
--   set of N     small ones are hot, large ones cold
--   changing     a set of 10,000 once, then one of 100 a hundred times, and so on
--   beside       a set of 100, while 10,000 others wait that came first
--
-- Each round makes its sets anew; that, the first steps and the end of them are not in the figures.
local coro = require "coro"

local usual = coro.configure().warm_stacks
local settings = { policy = usual, ["always mounted"] = 1000000, ["always unmounted"] = 0 }

local function make_set(size)
  local set, is_over = {}, false
  local function body()
    while not is_over do
      coro.yield()
    end
  end
  for i = 1, size do
    set[i] = coro.wrap(body)
  end
  local function step_all()
    for i = 1, size do
      set[i]()
    end
  end
  step_all()
  return step_all, function()
    is_over = true
    step_all()
  end
end

-- One turn of a case: how many steps that are, how to do it, and how to end all.
local function turn_of(case)
  local size = tonumber(case:match "^set of (%d+)")
  if size then
    local step_all, finish = make_set(size)
    return size, step_all, finish
  end
  local step_many, finish_many = make_set(10000)
  local step_few, finish_few = make_set(100)
  local function finish()
    finish_many()
    finish_few()
  end
  if case == "beside" then return 100, step_few, finish end
  return 20000, function()
    step_many()
    for _ = 1, 100 do
      step_few()
    end
  end, finish
end

local function stepping(warm_stacks)
  return function(case)
    return function(n)
      coro.configure { warm_stacks = warm_stacks }
      local steps, turn, finish = turn_of(case)
      for _ = 1, math.max(2, 2000 / steps) do
        turn()
      end
      local turns = math.ceil(n / steps)
      local start = os.clock()
      for _ = 1, turns do
        turn()
      end
      local taken = os.clock() - start
      finish()
      coro.configure { warm_stacks = usual }
      collectgarbage()
      return turns * steps, taken
    end
  end
end

local contenders = {}
for name, warm_stacks in pairs(settings) do
  contenders[name] = stepping(warm_stacks)
end

return {
  title = "mounted or unmounted: one step of one generator among many",
  makes_garbage = true,
  reference = "policy",
  cases = { "set of 1", "set of 10", "set of 100", "set of 1000", "set of 10000", "changing", "beside" },
  contenders = contenders,
}
