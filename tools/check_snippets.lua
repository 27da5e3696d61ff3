-- Checks that the code of a document stands in the examples.
--   lua check_snippets.lua ROOT DOCUMENT...
--
-- In a document, <!-- FILE: NAME --> stands before a code block that must equal what is between two
-- lines of the file that hold [NAME] in a comment. Code blocks without it are text, not code.
-- Ends with status 1 and a line for each difference.
local root = table.remove(arg, 1)
local differences, checked = 0, 0

local function read_region(path, name)
  local lines, inside
  for line in io.lines(path) do
    if line:find("[" .. name .. "]", 1, true) then
      if inside then return table.concat(lines, "\n") end
      lines, inside = {}, true
    elseif inside then
      table.insert(lines, line)
    end
  end
  return nil
end

for _, document in ipairs(arg) do
  local file, name, lines
  local number = 0
  for line in io.lines(root .. "/" .. document) do
    number = number + 1
    local named_file, region = line:match "^<!%-%- (%S+): (%S+) %-%->$"
    if named_file then
      file, name = named_file, region
    elseif line:match "^```" and file and not lines then
      lines = {}
    elseif line == "```" and lines then
      checked = checked + 1
      if table.concat(lines, "\n") ~= read_region(root .. "/" .. file, name) then
        differences = differences + 1
        io.stderr:write(("%s:%d: not what [%s] of %s is\n"):format(document, number, name, file))
      end
      file, lines = nil, nil
    elseif lines then
      table.insert(lines, line)
    end
  end
end

assert(checked > 0, "no code to check")
os.exit(differences == 0)
