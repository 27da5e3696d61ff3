-- Checks that every file in src/ includes only files of its own floor or lower ones.
--   lua check_floors.lua SOURCE_FOLDER FILE...
-- Ends with status 1 and a line for each offence.
local floors = { base = 0, stacks = 1, switch = 2, threads = 3, module = 4, abi = 4, loop = 5 }
-- Guests are written on what stands in include/ alone.
local guests = 5
-- Headers from outside, and the lowest floor that may name them.
local outside = {
  { "^lua", 3 },
  { "^lauxlib", 4 },
  { "^boost/", 2 },
  { "^asio", 5 },
  { "^sys/", 1 },
  { "^unistd", 1 },
}
-- The one header that all differences between Lua versions stand in.
local version_header = "base/lua_version.h"

local folder = table.remove(arg, 1)
local offences = 0
local function offend(...)
  offences = offences + 1
  io.stderr:write(string.format(...), "\n")
end

for _, path in ipairs(arg) do
  local name = path:sub(#folder + 2)
  local floor = floors[name:match "^[^/]+"]
  if not floor then offend("%s: on no floor", name) end
  local number = 0
  for line in io.lines(path) do
    number = number + 1
    local own = line:match '^%s*#%s*include%s+"(.-)"'
    local foreign = line:match "^%s*#%s*include%s+<(.-)>"
    if own and floor then
      local other = floors[own:match "^[^/]+"]
      if not other then
        offend("%s:%d: %s is on no floor", name, number, own)
      elseif other > floor then
        offend("%s:%d: floor %d includes %s of floor %d", name, number, floor, own, other)
      elseif floor == guests and own:match "^[^/]+" ~= name:match "^[^/]+" then
        offend("%s:%d: a guest includes %s, which is not public", name, number, own)
      elseif own == version_header and floor < 3 then
        offend("%s:%d: floor %d knows no Lua", name, number, floor)
      end
    elseif foreign and floor and name ~= version_header then
      for _, rule in ipairs(outside) do
        if foreign:match(rule[1]) and floor < rule[2] then
          offend("%s:%d: floor %d includes <%s>", name, number, floor, foreign)
        end
      end
    end
    if name ~= version_header and line:match "^%s*#%s*%a*if.*LUA_?%u*VERSION" then
      offend("%s:%d: an #if on a Lua version outside %s", name, number, version_header)
    end
  end
end

os.exit(offences == 0)
