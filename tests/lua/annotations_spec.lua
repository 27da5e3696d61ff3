-- annotations/: what editors are told is what the modules have.
local folder = arg[0]:match "^(.*)tests/lua/" or "./"

local function kinds_of(module)
  local kinds = {}
  for name, value in pairs(module) do kinds[name] = type(value) end
  return kinds
end

describe("the annotations", function()
  for module, file in pairs { coro = "coro.lua", ["coro.loop"] = "coro/loop.lua" } do
    it("name everything in " .. module .. ", and nothing else", function()
      local kinds = kinds_of(require(module))
      kinds.main = nil -- a thread: a value that an annotation has none of
      assert.are.same(kinds, kinds_of(dofile(folder .. "annotations/" .. file)))
    end)
  end
end)
