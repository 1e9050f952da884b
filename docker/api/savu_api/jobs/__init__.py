"""Runs of process lists: two queues, one job of each at a time, and a list that survives a restart.

============== ====================================================================================
module         answers
============== ====================================================================================
``job``        what a job is, in memory, in its file and as JSON
``submission`` may this run start, and where does its output go
``dataset``    a look into the data it is to run on
``preview``    which rows a preview reconstructs
``queue``      which job runs next; follows the running ones and tells who listens
``runner``     submit, poll, cancel: what runs a job (a batch cluster could be another)
``local``      the runner that starts processes on this machine
``supervise``  the small program above each job, so that none of its processes outlives it
``processes``  finds and ends what a killed session left behind
``user_log``   Savu's ``user.log`` line by line into progress
``follow``     new lines of a growing log, and the last lines of any
``outcome``    how a run ended, in a sentence
``memory``     did the kernel end something because the memory ran out
``result``     the files a run left, and the last result in them
``store``      one file a job, replaced whole
``events``     changes, to everyone who listens
``routes``     all of it over HTTP
============== ====================================================================================
"""
