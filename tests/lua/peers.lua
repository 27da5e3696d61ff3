-- Servers from Debian's packages, started on loopback for a test and stopped by it.
--
--   local redis = peers.redis()         { port = }
--   local nginx = peers.nginx(folder)   { port =, tls_port =, certificate = }
--   peers.stop()                        all of them, and removes what they wrote
--
-- A server that is not installed or does not start is an error that says why.
local socket = require "socket"

local peers = {}
local running, folders = {}, {}

-- What a command prints.
function peers.shell(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return (output:gsub("%s+$", ""))
end

local shell = peers.shell

-- Two ends of a connection, made by LuaSocket or by what has its functions.
function peers.connected(library)
  local server = assert(library.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local client = assert(library.connect("127.0.0.1", port))
  local other = assert(server:accept())
  server:close()
  return client, other
end

local function free_port()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  server:close()
  return tonumber(port)
end

local function make_folder()
  local folder = shell "mktemp -d"
  folders[#folders + 1] = folder
  return folder
end

local function write(name, text)
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
end

local function read(name)
  local file = io.open(name)
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

-- Starts a program and waits until it listens.
local function start(folder, port, program, arguments)
  if shell("PATH=$PATH:/usr/sbin command -v " .. program) == "" then
    error(program .. " is not installed: ./dev setup", 0)
  end
  local log = folder .. "/log"
  local pid = shell(("PATH=$PATH:/usr/sbin; %s %s >%s 2>&1 & echo $!"):format(
    program, arguments, log))
  running[#running + 1] = pid
  for _ = 1, 500 do
    local connection = socket.connect("127.0.0.1", port)
    if connection then
      connection:close()
      return
    end
    if shell(("kill -0 %s 2>/dev/null && echo alive"):format(pid)) == "" then break end
    socket.sleep(0.02)
  end
  error(("%s does not listen on port %d:\n%s"):format(program, port, read(log)), 0)
end

function peers.redis()
  local folder, port = make_folder(), free_port()
  start(folder, port, "redis-server",
    ("--port %d --bind 127.0.0.1 --save '' --appendonly no --dir %s"):format(port, folder))
  return { port = port }
end

local NGINX = [[
daemon off;
master_process off;
pid FOLDER/pid;
error_log stderr;
worker_rlimit_nofile 30000;
events { worker_connections 25000; }
http {
  access_log off;
  keepalive_timeout 600s;
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  server {
    listen 127.0.0.1:PORT backlog=4096;
    listen 127.0.0.1:TLS ssl;
    ssl_certificate FOLDER/certificate.pem;
    ssl_certificate_key FOLDER/key.pem;
    root ROOT;
  }
}
]]

---@param root string  the folder that it serves
function peers.nginx(root)
  local folder, port, tls_port = make_folder(), free_port(), free_port()
  shell(("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
    .. "-keyout %s/key.pem -out %s/certificate.pem 2>&1"):format(folder, folder))
  local values = { FOLDER = folder, PORT = port, TLS = tls_port, ROOT = root }
  write(folder .. "/nginx.conf", (NGINX:gsub("%u+", values)))
  start(folder, port, "nginx", ("-e stderr -c %s/nginx.conf"):format(folder))
  return { port = port, tls_port = tls_port, certificate = folder .. "/certificate.pem" }
end

function peers.stop()
  for _, pid in ipairs(running) do
    local stop = "kill %s 2>/dev/null; while kill -0 %s 2>/dev/null; do sleep 0.02; done"
    shell(stop:format(pid, pid))
  end
  for _, folder in ipairs(folders) do shell("rm -rf " .. folder) end
  running, folders = {}, {}
end

return peers
