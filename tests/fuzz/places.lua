-- Where operations are performed from: each place is a Lua function that calls `run` once, from
-- inside of something. The source is what a program is printed with.
--
-- leaves: can the standard yield get out of there?
--
-- Not __concat: Lua 5.4.4 goes on with a pointer into its old stack if that moves meanwhile.
local places = {}

local function place(name, leaves, source)
  places[#places + 1] = { name = name, leaves = leaves, source = source }
  places[name] = places[#places]
end

-- Is it a boundary that the standard yield cannot cross in this version?
function places.pins(name, version)
  local leaves = places[name].leaves
  if leaves == "only in LuaJIT" then return not version.is_jit end
  return leaves == "never" or (leaves == "not in 5.1" and not version.metamethods_yield)
end

place("in_sort", "never", [[
local function in_sort(run)
  table.sort({ 1, 2 }, function()
    local once = run
    run = nil
    if once then once() end
    return false
  end)
end]])

place("in_gsub", "never", [[
local function in_gsub(run) string.gsub("x", "x", function() run() end) end]])

place("in_require", "never", [[
local required = 0
local function in_require(run)
  required = required + 1
  local name = "required " .. required
  package.preload[name] = function()
    package.preload[name] = nil
    run()
  end
  require(name)
  package.loaded[name] = nil
end]])

place("in_tostring", "only in LuaJIT", [[
local function in_tostring(run)
  tostring(setmetatable({}, { __tostring = function() run() return "" end }))
end]])

place("in_index", "not in 5.1", [[
local function in_index(run)
  local _ = setmetatable({}, { __index = function() run() end }).field
end]])

place("in_newindex", "not in 5.1", [[
local function in_newindex(run)
  setmetatable({}, { __newindex = function() run() end }).field = 1
end]])

place("in_add", "not in 5.1", [[
local function in_add(run)
  local _ = setmetatable({}, { __add = function() run() end }) + 1
end]])

place("in_unm", "not in 5.1", [[
local function in_unm(run)
  local _ = -setmetatable({}, { __unm = function() run() end })
end]])

place("in_eq", "not in 5.1", [[
local function in_eq(run)
  local meta = { __eq = function() run() return true end }
  local _ = setmetatable({}, meta) == setmetatable({}, meta)
end]])

place("in_lt", "not in 5.1", [[
local function in_lt(run)
  local meta = { __lt = function() run() return true end }
  local _ = setmetatable({}, meta) < setmetatable({}, meta)
end]])

place("in_le", "not in 5.1", [[
local function in_le(run)
  local meta = { __le = function() run() return true end }
  local _ = setmetatable({}, meta) <= setmetatable({}, meta)
end]])

place("in_iterator", "not in 5.1", [[
local function in_iterator(run)
  for _ in function() run() end do end
end]])

place("in_call", "always", [[
local function in_call(run) setmetatable({}, { __call = function() run() end })() end]])

place("in_tail_call", "always", [[
local function in_tail_call(run) return run() end]])

place("in_recursion", "always", [[
local function in_recursion(run, depth)
  if depth == 100 then run() else in_recursion(run, (depth or 0) + 1) end
  return nil
end]])

return places
