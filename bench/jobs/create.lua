-- A thread's whole life: create, resume, end. "beside N": while so many others live, suspended.
local coro, standard = require "coro", coroutine

local function lives(library)
  return function(case)
    local create, resume, yield = library.create, library.resume, library.yield
    local others = {}
    for i = 1, tonumber(case:match "beside (%d+)") or 0 do
      others[i] = create(function() yield() end)
      resume(others[i])
    end
    local function body() end
    return function(n)
      local _ = others -- are kept
      for _ = 1, n do
        resume(create(body))
      end
    end
  end
end

return {
  title = "create, run, end: one thread",
  makes_garbage = true,
  sample_time = 0.4, -- several cycles of the collector, which marks the others in each
  reference = "standard",
  cases = { "alone", "beside 10000", "beside 100000" },
  contenders = { coro = lives(coro), standard = lives(standard) },
}
