-- The script of echo_server.cpp: echoes the lines of each connection, sorted by the client's taste.
local coro = require "coro"
coro.install() -- generators can wait, too

-- [handler]
-- A generator, which waits for the network in the middle of its caller's loop.
local function lines(connection)
  return coroutine.wrap(function()
    for line in function() return connection:read_line() end do coroutine.yield(line) end
  end)
end

-- One connection.
local function serve(connection)
  local words = {}
  for line in lines(connection) do
    if line == "" then break end
    table.insert(words, line)
  end
  -- A sort, which waits for the client's answers inside of table.sort.
  table.sort(words, function(a, b)
    connection:write(("%s before %s?\n"):format(a, b))
    return connection:read_line() == "yes"
  end)
  connection:write(table.concat(words, " ") .. "\n")
  connection:close()
end
-- [handler]

local port = listen(0)
spawn(function()
  while true do spawn(serve, accept()) end
end)

-- The clients, in the same program here.
local words = { "melon", "fig", "apple", "quince", "kiwi" }
local left = 3
for number = 1, left do
  spawn(function()
    local connection = connect(port)
    connection:write(table.concat(words, "\n") .. "\n\n")
    for line in lines(connection) do
      local a, b = line:match "^(%a+) before (%a+)%?$"
      if a then
        connection:write(a < b and "yes\n" or "no\n")
      else
        print(("client %d: %s"):format(number, line))
      end
    end
    left = left - 1
    if left == 0 then stop() end
  end)
end
