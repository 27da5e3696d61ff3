-- What C frames in between cost: two threads transfer to each other from inside table.sort, or from
-- inside a metamethod, against the same from plain code. And the floor of everything: calling a C
-- function that does nothing.
local coro = require "coro"

local function in_sort(f)
  table.sort({ 2, 1 }, function(a, b)
    f()
    return a < b
  end)
end

local function in_index(f) return setmetatable({}, { __index = f }).x end

local function in_plain_code(f) f() end

local places = { ["in table.sort"] = in_sort, ["in __index"] = in_index, plain = in_plain_code }

local function ping_pong(from)
  local transfer = coro.transfer
  local threads, left = {}, 0
  for i = 1, 2 do
    threads[i] = coro.create(function()
      from(function()
        while true do
          if i == 1 then
            if left == 0 then transfer(nil) end
            left = left - 1
          end
          transfer(threads[3 - i])
        end
      end)
    end)
  end
  transfer(threads[1])
  return function(n)
    left = math.ceil(n / 2)
    transfer(threads[1])
  end
end

local contenders = {
  ["empty C call"] = function()
    local f = coro.current
    return function(n)
      for _ = 1, n do
        f()
      end
    end
  end,
}
for name, from in pairs(places) do
  contenders[name] = function() return ping_pong(from) end
end

return {
  title = "transfer across C frames: one hop",
  reference = "plain",
  cases = { "two threads" },
  contenders = contenders,
}
