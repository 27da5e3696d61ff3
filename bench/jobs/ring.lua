-- N threads in a ring: each hands on to the next. Measures one hop. "shuffled": the order in which
-- they run is not that in which they were made. Not in the figures: making them, their first run.
local coro, standard, symmetric = require "coro", coroutine, require "symmetric"

-- The threads of a ring, and the order they run in.
local function order_of(case)
  local size, is_shuffled = tostring(case):match "^(%d+)(.*)$"
  size = tonumber(size)
  local order = {}
  for i = 1, size do
    order[i] = i
  end
  if is_shuffled ~= "" then
    local seed = 42
    for i = size, 2, -1 do
      seed = seed * 16807 % 2147483647
      local j = seed % i + 1
      order[i], order[j] = order[j], order[i]
    end
  end
  return order
end

-- body(next, is_first) is what a thread runs.
local function make_ring(case, create, body)
  local order, threads = order_of(case), {}
  local places = {}
  for place, i in ipairs(order) do
    places[i] = place
  end
  for i = 1, #order do
    local place = places[i]
    threads[i] = create(function()
      return body(threads[order[place % #order + 1]], place == 1)
    end)
  end
  return threads[order[1]], #order
end

-- With transfer: the first thread counts the rounds and goes back to main.
local function transfer_ring(library)
  return function(case)
    local transfer = library.transfer
    local left = 0
    local first, size = make_ring(case, library.create, function(successor, is_first)
      if not is_first then
        while true do
          transfer(successor)
        end
      end
      while true do
        if left == 0 then transfer(nil) end
        left = left - 1
        transfer(successor)
      end
    end)
    transfer(first)
    return function(n)
      left = math.ceil(n / size)
      local hops = left * size
      transfer(first)
      return hops
    end
  end
end

-- The standard's way to the same: yield the next one to a loop that resumes it.
local function dispatcher_ring(case)
  local yield, resume = standard.yield, standard.resume
  local first, size = make_ring(case, standard.create, function(successor)
    while true do
      yield(successor)
    end
  end)
  return function(n)
    local hops, thread = math.ceil(n / size) * size, first
    for _ = 1, hops do
      local _, successor = resume(thread)
      thread = successor
    end
    return hops
  end
end

return {
  title = "transfer: one hop in a ring of N threads",
  reference = "standard",
  cases = {
    "2", "10", "100", "1000", "10000", "10000 shuffled", "100000", "100000 shuffled", "1000000",
    "1000000 shuffled",
  },
  contenders = {
    coro = transfer_ring(coro),
    standard = dispatcher_ring,
    ["pure Lua"] = transfer_ring(symmetric),
  },
}
