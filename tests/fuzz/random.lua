-- Random numbers that are the same on every Lua: two multiplicative generators (L'Ecuyer 1988),
-- whose products are exact in a double.
local random = {}
random.__index = random

local modulus_a, modulus_b = 2147483563, 2147483399

function random.new(seed)
  local self = setmetatable({}, random)
  self.a = seed % (modulus_a - 1) + 1
  self.b = (seed * 7919 + 104729) % (modulus_b - 1) + 1
  for _ = 1, 8 do self:up_to(1) end
  return self
end

-- An integer from 1 to n.
function random:up_to(n)
  self.a = self.a * 40014 % modulus_a
  self.b = self.b * 40692 % modulus_b
  return (self.a - self.b) % (modulus_a - 1) % n + 1
end

function random:between(low, high) return low - 1 + self:up_to(high - low + 1) end

function random:chance(percent) return self:up_to(100) <= percent end

function random:pick(list) return list[self:up_to(#list)] end

-- One of { { weight, value }, ... }.
function random:weighted(choices)
  local sum = 0
  for _, choice in ipairs(choices) do sum = sum + choice[1] end
  local left = self:up_to(sum)
  for _, choice in ipairs(choices) do
    left = left - choice[1]
    if left <= 0 then return choice[2] end
  end
  return nil
end

return random
