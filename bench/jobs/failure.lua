-- What failing costs: resume of a thread that raises an error (coro adds a traceback), throw into a
-- suspended thread that catches it, and a refused resume of a dead one.
local coro, standard = require "coro", coroutine

local function failing_resume(library)
  local create, resume = library.create, library.resume
  local function body() error "no" end
  return function(n)
    for _ = 1, n do
      resume(create(body))
    end
  end
end

local function refused_resume(library)
  local resume = library.resume
  local dead = library.create(function() end)
  resume(dead)
  return function(n)
    for _ = 1, n do
      resume(dead)
    end
  end
end

local function throw(library)
  if not library.throw then return false end
  local thread = library.create(function()
    while true do
      pcall(library.transfer, nil)
    end
  end)
  library.transfer(thread)
  return function(n)
    for _ = 1, n do
      library.throw(thread, "no")
    end
  end
end

local cases = { fail = failing_resume, refuse = refused_resume, throw = throw }

return {
  title = "failures: one of them",
  makes_garbage = true,
  reference = "standard",
  cases = { "fail", "refuse", "throw" },
  contenders = {
    coro = function(case) return cases[case](coro) end,
    standard = function(case) return cases[case](standard) end,
  },
}
