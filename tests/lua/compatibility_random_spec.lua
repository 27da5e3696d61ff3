-- As in the standard library: threads that create and resume each other, yield and fail at random.
local fixture = require "fixture"
local compatibility = require "compatibility"
local unpack = fixture.unpack
local yields_through_pcall = compatibility.yields_through_pcall
local program = compatibility.program
local two_if_failed = compatibility.two_if_failed

-- What they do, a sequence of numbers says.
local function run_random(co, log, seed)
  local function random(n)
    seed = seed * 16807 % 2147483647
    return seed % n + 1
  end
  local function some_values()
    local values = { n = random(5) - 1 }
    for i = 1, values.n do values[i] = random(3) > 1 and random(100) or nil end
    return unpack(values, 1, values.n)
  end

  local threads, names, steps_left = {}, {}, 400
  local body
  local function new_thread()
    local thread = co.create(body)
    threads[#threads + 1] = thread
    names[thread] = "t" .. #threads
  end

  local actions = {
    function() if #threads < 10 then new_thread() end end,
    function(me)
      local thread = threads[random(#threads)]
      -- With a value, as 5.2 and 5.3 take a thread with an empty stack for dead.
      log(me, "resumes", names[thread], two_if_failed(co.resume(thread, me, some_values())))
    end,
    function(me)
      if me ~= "main" then log(me, "goes on", co.yield(me, some_values())) end
    end,
    function(me)
      local shown = {}
      for i, thread in ipairs(threads) do shown[i] = co.status(thread) end
      log(me, "sees", unpack(shown))
    end,
    function(me)
      local f = co.wrap(function(...)
        log(me, "in wrap", co.yield(...))
        return some_values()
      end)
      log(me, "calls", f(some_values()))
      log(me, "calls again", f(some_values()))
      log(me, "calls it dead", (pcall(f)))
    end,
    function(me)
      if me ~= "main" and random(8) == 1 then error(me .. " fails", random(3) - 1) end
    end,
    function(me, act)
      if not yields_through_pcall or random(3) > 1 then return end
      log(me, "protected", pcall(function()
        for _ = 1, random(5) do act(me) end
        if random(2) == 1 then error({ me }) end
        return some_values()
      end))
    end,
    function(me, act)
      if not yields_through_pcall or random(3) > 1 then return end
      local object = setmetatable({}, { __index = function(_, k)
        act(me)
        return k
      end })
      for i in function(_, i) if i < 3 then return i + 1 end end, nil, 0 do
        log(me, "indexes", object[i])
      end
    end,
    function() collectgarbage "step" end,
  }
  -- Resuming and yielding are what matters.
  local order = { 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9 }
  local function act(me)
    if steps_left == 0 then return end
    steps_left = steps_left - 1
    actions[order[random(#order)]](me, act)
  end

  body = function(...)
    local me = "t" .. random(1000)
    log(me, "starts", ...)
    while steps_left > 0 and random(15) > 1 do act(me) end
    return some_values()
  end
  new_thread()
  while steps_left > 0 do act "main" end
end

for seed = 1, 25 do
  program("random program " .. seed, function(co, log) run_random(co, log, seed * 7919) end)
end

compatibility.check(describe, it, before_each, after_each)
