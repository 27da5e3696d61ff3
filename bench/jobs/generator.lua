-- A generator's step: calling what wrap made (or resume), and the yield that answers. "deep 4":
-- each of four nested generators passes on what the next one yields. "values 5": so many are passed
-- both ways.
local coro, standard, symmetric = require "coro", coroutine, require "symmetric"
local unpack = table.unpack or unpack -- luacheck: ignore

local function values_of(n)
  local values = {}
  for i = 1, n do
    values[i] = i
  end
  return values
end

local function nest(library, depth)
  local wrap, yield = library.wrap, library.yield
  if depth == 1 then
    return wrap(function()
      while true do
        yield(1)
      end
    end)
  end
  local inner = nest(library, depth - 1)
  return wrap(function()
    while true do
      yield(inner())
    end
  end)
end

local function with_values(library, count)
  local yield, values = library.yield, values_of(count)
  local step = library.wrap(function()
    while true do
      yield(unpack(values))
    end
  end)
  return function(n)
    for _ = 1, n do
      step(unpack(values))
    end
  end
end

local function with_resume(library)
  local yield, resume = library.yield, library.resume
  local thread = library.create(function()
    while true do
      yield(1)
    end
  end)
  return function(n)
    for _ = 1, n do
      resume(thread)
    end
  end
end

local function generator(library)
  return function(case)
    local kind, count = case:match "^(%a+) ?(%d*)$"
    count = tonumber(count)
    if kind == "resume" then return with_resume(library) end
    if kind == "values" then return with_values(library, count) end
    local step = nest(library, count or 1)
    return function(n)
      for _ = 1, n do
        step()
      end
    end
  end
end

return {
  title = "generator: one step",
  reference = "standard",
  cases = { "wrap", "resume", "deep 2", "deep 4", "values 0", "values 1", "values 5", "values 20", "values 200" },
  contenders = {
    coro = generator(coro),
    standard = generator(standard),
    ["pure Lua"] = generator(symmetric),
  },
}
