-- A client that sends what careless and hostile clients send, and checks the answers.
local loop = require "coro.loop"

local bad_requests = {}

-- Each with the status that it has to get.
local REQUESTS = {
  { "HEAD /no-such-file HTTP/1.1\r\nHost: x", 404 },
  { "HEAD /../../../../etc/passwd HTTP/1.1\r\nHost: x", 404 },
  { "HEAD /examples/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x", 404 },
  { "HEAD /examples HTTP/1.1\r\nHost: x", 404 },
  { "HEAD /%zz HTTP/1.1\r\nHost: x", 400 },
  { "HEAD /README.md HTTP/1.1", 400 },
  { "what is this", 400 },
}

--- Sends them all, on one connection for as long as the server keeps it. Raises at a wrong answer.
---@param url string  of the server
---@return integer n  how many
function bad_requests.send(url)
  local address, port = url:match "//([%d.]+):(%d+)"
  local connection
  for _, case in ipairs(REQUESTS) do
    connection = connection or assert(loop.connect(address, tonumber(port)))
    assert(connection:send(case[1] .. "\r\n\r\n"))
    local status = assert(connection:receive "*l"):match "^HTTP/1.1 (%d+) "
    if tonumber(status) ~= case[2] then
      error(("'%s' was answered %s, not %d"):format(case[1], status, case[2]), 0)
    end
    local is_kept = false
    for line in function() return assert(connection:receive "*l") end do
      if line == "" then break end
      if line == "Connection: keep-alive" then is_kept = true end
    end
    if not is_kept then
      connection:close()
      connection = nil
    end
  end
  return #REQUESTS
end

return bad_requests
