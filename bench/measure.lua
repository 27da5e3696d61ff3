-- Measures the contenders of one job and prints a line of JSON for each.
--   <lua> measure.lua MODULE_FOLDER JOB_FILE CASE
--   <lua> measure.lua MODULE_FOLDER JOB_FILE        only prints what the job is
--
-- A job is a Lua file that returns
--   { title =, reference = name of a contender, cases = { name, ... },
--     makes_garbage = whether a round may leave some, sample_time = seconds, if not the usual ones,
--     contenders = { name = function(case) -> run } }
-- where run(n) does the job n times, or more often if it returns how often; what is not part of the
-- job it leaves out by returning the seconds, too. `false` for a contender that cannot do this case.
-- All contenders of a case are measured in this one process, in turns: round by round, each for at
-- least `sample_time`; the figure is the median of the rounds, in nanoseconds of the process's
-- processor time.
local modules, job_file, case = arg[1], arg[2], arg[3]
local here = arg[0]:match "^(.*/)" or "./"
package.cpath = modules .. "/?.so;" .. package.cpath
package.path = here .. "?.lua;" .. package.path

local rounds, usual_sample_time = 9, 0.04
local clock = os.clock
local job = dofile(job_file)
local sample_time = job.sample_time or usual_sample_time

-- Seconds, and how often it was done.
local function time(run, n)
  local start = clock()
  local done, taken = run(n)
  return taken or clock() - start, done or n
end

-- How often to do it so that a sample takes long enough.
local function calibrate(run)
  local n = 1
  while true do
    local taken, done = time(run, n)
    if taken >= sample_time then return done end
    n = math.ceil(done * (taken > 0.001 and 1.2 * sample_time / taken or 10))
  end
end

local function median(sorted) return sorted[math.ceil(#sorted / 2)] end

if not case then
  print(
    ('{"title": "%s", "reference": "%s", "cases": ["%s"]}'):format(
      job.title,
      job.reference,
      table.concat(job.cases, '", "')
    )
  )
  os.exit(0)
end

local names = {}
for name in pairs(job.contenders) do
  names[#names + 1] = name
end
table.sort(names)

local contenders = {}
for _, name in ipairs(names) do
  local run = job.contenders[name](case)
  if run then
    run(1)
    contenders[#contenders + 1] = { name = name, run = run, samples = {} }
  end
end
collectgarbage()
for _, contender in ipairs(contenders) do
  contender.n = calibrate(contender.run)
end
for _ = 1, rounds do
  for _, contender in ipairs(contenders) do
    if job.makes_garbage then collectgarbage() end -- with a million threads it takes its time
    local taken, done = time(contender.run, contender.n)
    table.insert(contender.samples, taken / done * 1e9)
  end
end
for _, contender in ipairs(contenders) do
  table.sort(contender.samples)
  local samples = contender.samples
  print(
    ('{"contender": "%s", "median": %.2f, "least": %.2f, "most": %.2f}'):format(
      contender.name,
      median(samples),
      samples[1],
      samples[#samples]
    )
  )
end
