-- An HTTP/1.1 server for the files of one folder: each connection has a coroutine of its own,
-- written as if reading and writing blocked.
-- It answers GET and HEAD and never leaves its folder: names that begin with a dot do not exist.
-- Symbolic links are followed. What a client does wrong costs that client its connection only.
local loop = require "coro.loop"

local http_server = {}

local REASONS = {
  [200] = "OK",
  [400] = "Bad Request",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [431] = "Request Header Fields Too Large",
  [505] = "HTTP Version Not Supported",
}
local BLOCK_SIZE = 4096
local MOST_HEADERS = 100
local IDLE_SECONDS = 30

-- Whether a comma-separated header value has a token.
local function has_token(value, token)
  for one in (value or ""):lower():gmatch "[^,%s]+" do
    if one == token then return true end
  end
  return false
end

-- The path below the root that a request's target names. Only what this lets through reaches
-- `io.open`.
---@return string|nil path, integer|nil status
local function path_of(target)
  local path = target:match "^[Hh][Tt][Tt][Pp]://[^/]*(/.*)$" or target
  path = path:gsub("[?#].*", "")
  if path:sub(1, 1) ~= "/" or path:gsub("%%%x%x", ""):find("%", 1, true) then return nil, 400 end
  path = path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  if path:find "%c" then return nil, 400 end
  for name in path:gmatch "[^/]+" do
    if name:sub(1, 1) == "." then return nil, 404 end
  end
  return path
end

---@return table|nil headers  by their names in lower case
---@return integer|nil status  of the answer, where the client is at fault; none if it has gone
local function read_headers(connection)
  local headers = {}
  for _ = 1, MOST_HEADERS do
    local line = connection:receive "*l"
    if not line then return nil end
    if line == "" then return headers end
    local name, value = line:match "^([^%s:]+):%s*(.-)%s*$"
    if not name then return nil, 400 end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return nil, 431
end

-- As `read_headers`.
---@return table|nil request, integer|nil status
local function read_request(connection)
  local line = connection:receive "*l"
  if not line then return nil end
  local method, target, version = line:match "^(%a+) (%S+) HTTP/(%d%.%d)$"
  if not method then return nil, 400 end
  if version:sub(1, 1) ~= "1" then return nil, 505 end

  local headers, status = read_headers(connection)
  if not headers then return nil, status end
  if version ~= "1.0" and not headers.host then return nil, 400 end

  local request = { method = method, target = target }
  -- A body is never read, so what follows it could not be told from it.
  local has_body = headers["transfer-encoding"] or (headers["content-length"] or "0") ~= "0"
  local is_new = version ~= "1.0"
  request.keeps_alive = not has_body and not has_token(headers.connection, "close")
    and (is_new or has_token(headers.connection, "keep-alive"))
  return request
end

---@return file*|nil file, integer size_or_status
local function open_file(root, target)
  local path, status = path_of(target)
  if not path then return nil, status end
  local file = io.open(root .. path, "rb")
  if not file then return nil, 404 end
  -- A folder can be opened, too; reading it fails.
  local _, err = file:read(0)
  if err then
    file:close()
    return nil, 404
  end
  local size = file:seek "end"
  file:seek "set"
  return file, size
end

---@return boolean is_sent
local function send_head(connection, status, size, keeps_alive)
  return connection:send(table.concat({
    ("HTTP/1.1 %d %s"):format(status, REASONS[status]),
    os.date "!Date: %a, %d %b %Y %H:%M:%S GMT",
    ("Content-Length: %d"):format(size),
    "Connection: " .. (keeps_alive and "keep-alive" or "close"),
    "Allow: GET, HEAD",
    "\r\n",
  }, "\r\n")) ~= nil
end

local function send_status(connection, status, keeps_alive, has_body)
  local body = ("%d %s\n"):format(status, REASONS[status])
  return send_head(connection, status, #body, keeps_alive)
    and (not has_body or connection:send(body) ~= nil)
end

-- Sends what the head has announced, or fails.
local function send_body(connection, file, size)
  while size > 0 do
    local block = file:read(math.min(BLOCK_SIZE, size))
    if not block or not connection:send(block) then return false end
    size = size - #block
    -- The others first: a large file must not keep all of them waiting.
    loop.sleep(0)
  end
  return true
end

---@return boolean is_sent
local function answer(connection, root, request)
  local is_head = request.method == "HEAD"
  if not is_head and request.method ~= "GET" then
    return send_status(connection, 405, request.keeps_alive, true)
  end
  local file, size = open_file(root, request.target)
  if not file then return send_status(connection, size, request.keeps_alive, not is_head) end
  local is_sent = send_head(connection, 200, size, request.keeps_alive)
    and (is_head or send_body(connection, file, size))
  file:close()
  return is_sent
end

local function serve(connection, root)
  connection:settimeout(IDLE_SECONDS)
  local request, status
  repeat
    request, status = read_request(connection)
    local is_sent = request and answer(connection, root, request)
  until not (is_sent and request.keeps_alive)
  if status then send_status(connection, status, false, true) end
end

--- Starts a server on a free port of 127.0.0.1; the loop runs it until it is closed.
---@param root string  the folder
---@return table server  the listening socket
---@return string url  of the folder, without a slash at its end
function http_server.start(root)
  local server = assert(loop.newserver("127.0.0.1", 0, function(connection)
    serve(connection, root)
    connection:close()
  end))
  local _, port = server:getsockname()
  return server, "http://127.0.0.1:" .. port
end

return http_server
