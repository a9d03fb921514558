"""The gateway, the controller and the engine they drive.

At the root lie the program (`app`, `health`) and what several rooms share. The rooms:

commands                what an operator types and is shown; only `understudy` imports it
supervisor, worker      a deployment's processes; one TorchServe on a machine of its own
api                     the ways in: HTTP, gRPC, V2, the admin API
console, report         what an operator looks at
access, tls             who gets in
dataplane               what a frame meets between a way in and a worker
controlplane            what an operator moves: releases, routes, rollouts
torchserve              the engine
store                   what the two planes tell each other; traffic, in windows and added up
metrics, logs, tracing  what a process tells of itself
client                  what cameras' programs use
tuning, backup          how an archive is best deployed; a deployment's state in one file
"""
