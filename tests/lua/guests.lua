-- Other libraries as guests of coro's: loaded anew before it is installed, or after.
local coro = require "coro"
local standard = package.loaded.coroutine

local guests, loaded = {}, {}

-- For each order: `load(name, ...)` gives the modules, with coro installed in the end.
function guests.each_order(run)
  local function load_all(...)
    local modules = {}
    for i, name in ipairs { ... } do
      package.loaded[name] = nil
      modules[i] = require(name)
      loaded[name] = true
    end
    return modules
  end
  run("loaded after coro was installed", function(...)
    coro.install()
    return (unpack or table.unpack)(load_all(...)) -- luacheck: ignore
  end)
  run("loaded before coro was installed", function(...)
    local modules = load_all(...)
    coro.install()
    return (unpack or table.unpack)(modules) -- luacheck: ignore
  end)
end

-- The standard library is back, and nothing is kept alive by the modules.
function guests.leave()
  _G.coroutine, package.loaded.coroutine = standard, standard
  for name in pairs(loaded) do package.loaded[name] = nil end
end

return guests
