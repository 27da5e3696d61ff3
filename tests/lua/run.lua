-- Runs spec files with busted: lua run.lua MODULE_FOLDER SPEC...
-- Finds what the specs require by itself, so that no environment variable matters.
local modules = table.remove(arg, 1)
local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path
package.cpath = modules .. "/?.so;" .. modules .. "/tests/?.so;" .. package.cpath
table.insert(arg, 1, "--output=plainTerminal")
require "busted.runner" { standalone = false }
