-- The main job of coro: generators over sockets that an event loop watches. One process is a file
-- server and some dozens of its clients, all of them coroutines on real TCP sockets.
--
--   a client  <-  lines()  <-  body()  <-  socket.http  ...  the loop  ...  the server
--
-- `lines` and `body` are ordinary generators, `coroutine.wrap` and `coroutine.yield`. `socket.http`
-- comes from LuaSocket as it is; it reads from a socket as if that blocked. Where the socket is
-- not ready, control goes from there, two generators deep and inside LuaSocket's own pcall,
-- straight to the loop in main; the generators and the client just stay where they are.
--
-- At the same time a file list is sorted by a `table.sort` whose comparator asks the server.
local HERE = arg[0]:match "^(.*/)" or "./"
package.path = HERE .. "?.lua;" .. package.path

local bad_requests = require "bad_requests"
local coro = require "coro"
local http = require "socket.http"
local http_server = require "http_server"
local loop = require "coro.loop"
local unpack = table.unpack or unpack -- luacheck: ignore

-- From here on `coroutine` is coro, and LuaSocket's sockets wait in the loop: the generators below
-- can wait for them.
coro.install()
loop.install()

local ROOT = HERE .. "../"
local CLIENTS = 48
local FILES_PER_CLIENT = 6
local FILES_TO_SORT = 24

local seen = { requests = 0, in_flight = 0, most_in_flight = 0, pieces = 0, changes = 0 }

-- A file as it is on the disk.
local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local content = assert(file:read "*a")
  file:close()
  return content
end

-- One blocking request, which must succeed.
---@param request table  as `socket.http` wants it
---@return table headers
local function ask(request)
  seen.requests = seen.requests + 1
  seen.in_flight = seen.in_flight + 1
  seen.most_in_flight = math.max(seen.most_in_flight, seen.in_flight)
  local result, status, headers = http.request(request)
  seen.in_flight = seen.in_flight - 1
  if not result or status ~= 200 then
    error(("%s %s: %s"):format(request.method or "GET", request.url, status), 0)
  end
  return headers
end

-- The body at a URL as it arrives, in pieces: what `socket.http` pushes can be pulled.
---@return fun(): string|nil
local function body(url)
  return coroutine.wrap(function()
    local me = coroutine.running()
    ask {
      url = url,
      sink = function(piece, err)
        if piece then
          seen.pieces = seen.pieces + 1
          if seen.receiver ~= me then seen.changes = seen.changes + 1 end
          seen.receiver = me
          coroutine.yield(piece)
        end
        return not err
      end,
    }
  end)
end

-- Lines out of pieces, each with the "\n" at its end.
---@return fun(): string|nil
local function lines(pieces)
  return coroutine.wrap(function()
    local rest = ""
    for piece in pieces do
      rest = rest .. piece
      local first = 1
      for last in rest:gmatch "\n()" do
        coroutine.yield(rest:sub(first, last - 1))
        first = last
      end
      rest = rest:sub(first)
    end
    if rest ~= "" then coroutine.yield(rest) end
  end)
end

-- Raises unless a body is its file, and says where they differ.
local function check_equal(name, got, expected)
  if got == expected then return end
  local at = 1
  while got:byte(at) == expected:byte(at) do at = at + 1 end
  error(("%s: the body (%d bytes) differs from the file (%d bytes) at byte %d")
    :format(name, #got, #expected, at), 0)
end

-- Downloads a file line by line, and counts it.
local function download(file, count)
  local received = {}
  for line in lines(body(file.url)) do received[#received + 1] = line end
  local got = table.concat(received)
  check_equal(file.name, got, read_file(file.path))
  count.bodies = count.bodies + 1
  count.bytes = count.bytes + #got
  count.lines = count.lines + #received
end

-- Sorts by size. The comparator knows only URLs: it waits for two answers each time.
local function sort_by_size(files)
  local function size_of(file)
    return tonumber(ask { method = "HEAD", url = file.url }["content-length"])
  end
  local comparisons = 0
  table.sort(files, function(a, b)
    comparisons = comparisons + 1
    local size_a, size_b = size_of(a), size_of(b)
    if size_a ~= size_b then return size_a < size_b end
    return a.name < b.name
  end)

  for i = 2, #files do
    local before, after = files[i - 1], files[i]
    if #read_file(before.path) > #read_file(after.path) then
      error(("sorted wrongly: %s before %s"):format(before.name, after.name), 0)
    end
  end
  return comparisons
end

---@return table[] files  with their `name`, `url` and `path`
local function files_of_repository(url)
  local quoted_root = "'" .. ROOT:gsub("'", "'\\''") .. "'"
  -- No hidden file, since the server has none; nothing built or left behind that takes long.
  local names = assert(io.popen("CDPATH= cd -P " .. quoted_root .. " && find . -type f "
    .. "! -path '*/.*' ! -path './build*' -size -256k | sort"))
  local files = {}
  for line in names:lines() do
    local name = line:gsub("^%./", "")
    local escaped = name:gsub("[^%w/._-]", function(c) return ("%%%02X"):format(c:byte()) end)
    files[#files + 1] = { name = name, url = url .. "/" .. escaped, path = ROOT .. name }
  end
  names:close()
  return files
end

-- Where the module that runs here was loaded from: a folder and a name.
local function find_module()
  for template in package.cpath:gmatch "[^;]+" do
    local path = template:gsub("%?", "coro")
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path:match "^(.*/)([^/]*)$"
    end
  end
  error("coro is not in package.cpath")
end

local REPORT = [[
HTTP servers for two folders and %d clients in one process, all coroutines, on %s.

  downloads     %d bodies, %.0f KB in %d lines, through two nested generators each;
                every one equals its file, byte for byte
  waits         %d pieces arrived, %d of them for another download than the one before: that
                one had waited inside both generators while others went on, and noticed nothing
  in flight     up to %d requests at once, %d in all
  sorting       %d files by size: table.sort compared %d times, and each time waited for two
                answers of the server; meanwhile the others made %d requests
  bad requests  %d, each refused with the right status
  time          %.2f s, with %d switches between coroutines
]]

local function run()
  local started_at = loop.now()
  local module_folder, module_name = find_module()
  local server, url = http_server.start(ROOT)
  local module_server, module_url = http_server.start(module_folder)
  local files = files_of_repository(url)
  if #files < FILES_TO_SORT then error(("found only %d files to serve"):format(#files), 0) end
  -- Larger than any source.
  local module = {
    name = module_name,
    url = module_url .. "/" .. module_name,
    path = module_folder .. module_name,
  }

  local clients = 0
  local function spawn_client(f)
    clients = clients + 1
    loop.spawn(function()
      f()
      clients = clients - 1
      if clients == 0 then
        server:close()
        module_server:close()
      end
    end)
  end

  local downloads = { bodies = 0, bytes = 0, lines = 0 }
  for client = 1, CLIENTS do
    spawn_client(function()
      download(module, downloads)
      for i = 1, FILES_PER_CLIENT do
        download(files[(client * FILES_PER_CLIENT + i) % #files + 1], downloads)
      end
    end)
  end

  local comparisons, requests_meanwhile
  spawn_client(function()
    local requests_before = seen.requests
    comparisons = sort_by_size { unpack(files, 1, FILES_TO_SORT) }
    requests_meanwhile = seen.requests - requests_before - 2 * comparisons
  end)

  local refused
  spawn_client(function() refused = bad_requests.send(url) end)

  loop.run()
  if seen.most_in_flight < CLIENTS then
    error(("only %d requests were in flight at once"):format(seen.most_in_flight), 0)
  end
  io.write(REPORT:format(CLIENTS + 2, jit and jit.version or _VERSION,
    downloads.bodies, downloads.bytes / 1000, downloads.lines,
    seen.pieces, seen.changes,
    seen.most_in_flight, seen.requests,
    FILES_TO_SORT, comparisons, requests_meanwhile,
    refused,
    loop.now() - started_at, coro.stats().switches))
end

local ok, err = xpcall(run, debug.traceback)
if not ok then
  io.stderr:write("\nTHE DEMO FAILED\n", tostring(err), "\n")
  os.exit(1)
end
