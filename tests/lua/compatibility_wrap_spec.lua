-- As in the standard library: wrap.
local compatibility = require "compatibility"
local is_51 = compatibility.is_51
local names_module_functions = compatibility.names_module_functions
local program = compatibility.program
local two_if_failed = compatibility.two_if_failed
local call = compatibility.call
local log_refusal = compatibility.log_refusal

program("wrap gives a function that resumes", function(co, log)
  local f = co.wrap(function(...)
    log("start", ...)
    log("back", co.yield(1, nil))
    return "end", nil
  end)
  log(type(f))
  log(f("a", nil))
  log(f(nil, "b"))
  log(pcall(call, f))
  log(pcall(f))
end)

program("wrap refuses what is no function", function(co, log)
  for _, value in ipairs { 1, "text", true, {} } do
    log_refusal(log, pcall(function() return (co.wrap(value)) end))
    if names_module_functions then log_refusal(log, pcall(co.wrap, value)) end
  end
  log_refusal(log, pcall(function() return (co.wrap()) end))
end)

program("wrap raises errors with its position", function(co, log)
  for _, value in ipairs { "text", 12, true, {} } do
    local f = co.wrap(function()
      co.yield()
      error(value)
    end)
    f()
    log(pcall(call, f))
    log(pcall(call, f))
    log(pcall(call, co.wrap(function() error(value, 0) end)))
    log(pcall(co.wrap(function() error(value, 2) end)))
  end
end)

program("wrap functions are generators", function(co, log)
  local function permutations(t, n)
    n = n or #t
    if n <= 1 then
      co.yield(table.concat(t))
    else
      for i = 1, n do
        t[n], t[i] = t[i], t[n]
        permutations(t, n - 1)
        t[n], t[i] = t[i], t[n]
      end
    end
  end
  for p in co.wrap(function() permutations { "a", "b", "c", "d" } end) do log(p) end
end)

program("wrap functions in a row are a sieve", function(co, log)
  local function numbers() for i = 2, 60 do co.yield(i) end end
  local function filter(p, generator)
    return co.wrap(function()
      for n in generator do
        if n % p ~= 0 then co.yield(n) end
      end
    end)
  end
  local generator = co.wrap(numbers)
  while true do
    local p = generator()
    if not p then break end
    log(p)
    generator = filter(p, generator)
  end
end)

program("wrap functions in wrap functions walk a tree", function(co, log)
  local function walk(tree)
    return co.wrap(function()
      if type(tree) ~= "table" then
        co.yield(tree)
      else
        for _, branch in ipairs(tree) do
          for leaf in walk(branch) do co.yield(leaf) end
        end
      end
    end)
  end
  for leaf in walk { 1, { 2, { 3, 4 }, {} }, { { { 5 } } }, 6 } do log(leaf) end
end)

program("a producer, a filter and a consumer", function(co, log)
  local producer = co.create(function()
    for _, line in ipairs { "one", "two", "three" } do co.yield(line) end
    return nil
  end)
  local filter = co.create(function()
    local n = 1
    while true do
      local _, line = co.resume(producer)
      if not line then return nil end
      co.yield(n .. " " .. line)
      n = n + 1
    end
  end)
  repeat
    local ok, line = co.resume(filter)
    log(ok, line, co.status(producer), co.status(filter))
  until not line
end)

program("a dispatcher", function(co, log)
  local threads = {}
  for i = 1, 3 do
    threads[i] = co.create(function()
      for round = 1, i do
        log("task", i, round)
        co.yield()
      end
      if i == 2 then error("task fails", 0) end
      return "done"
    end)
  end
  while #threads > 0 do
    for i = #threads, 1, -1 do
      log(i, two_if_failed(co.resume(threads[i])))
      if co.status(threads[i]) == "dead" then table.remove(threads, i) end
    end
  end
end)

program("threads nest a hundred deep", function(co, log)
  local function nest(n)
    if n == 0 then return "bottom" end
    return co.wrap(function()
      local x = nest(n - 1)
      co.yield(x .. n % 10)
    end)()
  end
  log(nest(100))
end)

if not is_51 then
  program("C functions are bodies of threads", function(co, log)
    log(co.resume(co.create(math.max), 1, 3, 2))
    log(co.resume(co.create(co.yield), 1, 2))
    local thread = co.create(co.yield)
    log(co.resume(thread, "out"))
    log(co.resume(thread, "back", nil))
    log(co.resume(thread))
    log(co.resume(co.create(pcall), error, "text"))
    log(co.resume(co.create(co.resume), co.create(function(x) return x end), 5))
    log(co.resume(co.create(co.status), co.create(print)))
    log(two_if_failed(co.resume(co.create(error), "text")))
    log(two_if_failed(co.resume(co.create(error), "text", 0)))
    log(two_if_failed(co.resume(co.create(string.rep))))
    log(pcall(co.wrap(error), {}))
    log(co.wrap(select)("#", nil, nil))
  end)
end

compatibility.check(describe, it, before_each, after_each)
