-- Makes a failing program short: shrink(program, fails) -> program, tries.
--
-- fails(program) tells whether a program still fails. What is taken away: operations, from large
-- runs of them to single ones; what is around operations; values, ways to call, settings. A program
-- stays one whatever is taken away: what makes no sense any more is left out by the model.
local function copy(value)
  if type(value) ~= "table" then return value end
  local copied = {}
  for k, v in pairs(value) do copied[k] = copy(v) end
  return copied
end

local function each_list(program, visit)
  local function descend(list)
    visit(list)
    for _, operation in ipairs(list) do
      if operation.body then descend(operation.body) end
    end
  end
  descend(program.main)
  for _, list in ipairs(program.threads) do descend(list) end
end

local function lists_of(program)
  local lists = {}
  each_list(program, function(list) lists[#lists + 1] = list end)
  return lists
end

local function splice(list, from, count, replacement)
  local rest = {}
  for i, operation in ipairs(list) do
    if i == from then
      for _, put in ipairs(replacement or {}) do rest[#rest + 1] = put end
    end
    if i < from or i >= from + count then rest[#rest + 1] = operation end
  end
  for i = 1, math.max(#list, #rest) do list[i] = rest[i] end
end

local function shrink(program, fails)
  local tries = 0

  -- Keeps the change if the program still fails.
  local function try(change)
    tries = tries + 1
    local candidate = copy(program)
    if change(candidate) == false or not fails(candidate) then return false end
    program = candidate
    return true
  end

  -- Runs of `count` operations, in every list.
  local function remove_runs(count)
    local removed, index = false, 1
    while index <= #lists_of(program) do
      local from = 1
      while from <= #lists_of(program)[index] do
        if try(function(p) splice(lists_of(p)[index], from, count) end) then
          removed = true
        else
          from = from + count
        end
        if index > #lists_of(program) then break end
      end
      index = index + 1
    end
    return removed
  end

  local function empty_threads()
    for number = #program.threads, 1, -1 do
      if #program.threads[number] > 0 then
        try(function(p) p.threads[number] = {} end)
      end
    end
  end

  local function simplify_operations()
    local simplified, index = false, 1
    local function change_at(at, change)
      return try(function(p)
        local list = lists_of(p)[index]
        return change(list[at], list)
      end)
    end
    while index <= #lists_of(program) do
      local at = 1
      while index <= #lists_of(program) and at <= #lists_of(program)[index] do
        local operation = lists_of(program)[index][at]
        local changed = false
        if operation.body then
          changed = change_at(at, function(o, list) splice(list, at, 1, o.body) end)
        end
        if not changed then
          if operation.values and operation.values.n > 0 then
            simplified = change_at(at, function(o) o.values = { n = 0 } end) or simplified
          end
          if operation.call then
            simplified = change_at(at, function(o) o.call = nil end) or simplified
          end
          if operation.times and operation.times > 2 then
            simplified = change_at(at, function(o) o.times = 2 end) or simplified
          end
          if operation.error and operation.error.kind ~= "text" then
            simplified = change_at(at, function(o) o.error.kind = "text" end) or simplified
          end
          if operation.threads and #operation.threads > 1 then
            simplified = change_at(at, function(o) table.remove(o.threads) end) or simplified
          end
          at = at + 1
        end
        simplified = simplified or changed
      end
      index = index + 1
    end
    return simplified
  end

  local function simplify_settings()
    for name, simple in pairs { installed = false, collector = "usual", warm_stacks = 0 } do
      if program[name] ~= simple then try(function(p) p[name] = simple end) end
    end
    if program.max_depth then try(function(p) p.max_depth = nil end) end
    if program.warm_stacks then try(function(p) p.warm_stacks = nil end) end
  end

  empty_threads()
  local longest = 0
  for _, list in ipairs(lists_of(program)) do longest = math.max(longest, #list) end
  local count = longest
  while count >= 1 do
    remove_runs(count)
    count = count == 1 and 0 or math.ceil(count / 2)
  end
  repeat
    local again = simplify_operations()
    again = remove_runs(1) or again
  until not again
  simplify_settings()
  return program, tries
end

return shrink
