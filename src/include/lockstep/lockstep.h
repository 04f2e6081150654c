// Lockstep as a library: data-parallel training whose weights are the same bit for bit on any number of
// ranks. C17 and C++17.
//
//     cc program.c $(pkg-config --cflags --libs lockstep)        then alone, under mpirun, or under srun
//
// The parts, each a header with its contract, which this one includes:
//
//   base/status.h         what functions return; the calling thread's error
//   base/log.h            where notes and warnings go: nowhere, until the program says
//   base/version.h        ls_version, and the number of the binary interface
//   train/libraries.h     the libraries beneath, with their versions
//   comm/comm.h           the ranks: open, agree on errors, end
//   ops/ops.h             ops, and the functions that models are built with; graph/graph.h: what they build
//   zoo/zoo.h             the models that recipes name, and ls_zoo_add for one of your own
//   train/trainer.h       ls_train: a run, from a recipe to its checkpoints; train/stop.h: the wish to stop
//   train/planning.h      what a run would take
//   train/session.h       a checkpoint opened for use: evaluation, and what the model says, piece by piece
//   train/predict.h       a checkpoint over files of samples, into a file
//   train/figures.h       accuracy, calibration, confusion, F1, errors
//   train/checkpoint.h    what is in a checkpoint
//   data/pack.h           shards from pictures, tables and arrays; train/packing.h: on all ranks
//   train/check.h         whether a file is good
//   study/study.h         scaling studies
//
// What holds everywhere:
//
// - A function that can fail returns an ls_status. On failure ls_error_last() has the text, one sentence
//   that names file, line or index, what was expected and what was found; it is the calling thread's, and
//   holds until its next error. Nothing is half-written.
// - A function that says that all ranks call it is collective: all call it, in the same order, with equal
//   arguments. One message comes out on all of them, whichever rank noticed. A world of one rank needs no
//   launcher and no MPI daemon.
// - Functions take structs by pointer and read them until they return, unless they say otherwise; fields
//   that are left out are 0, which means the default where one is named. What a function gives is freed by
//   the function that stands beside it.
// - Two of anything may be open at once. What is not collective, any thread calls. What the ranks do
//   together (trainings, sessions, predictions) one thread calls, one after the other; several worlds of one
//   rank may be used by as many threads. Of a process there is one log, one wish to stop, and one list of
//   added models.
// - Nothing prints, and nothing ends the process, but for what nobody could come back from. Of several
//   ranks, one that dies, hangs, or makes another call than the others ends all of them with exit status
//   LS_COMM and a line on stderr, because a call of MPI that waits for it cannot be broken off; ls_comm_end
//   ends them with an error that not all ranks know of. And where there is no memory for a few kilobytes of
//   a graph or a text, the process aborts.
// - Shapes are N, C, H, W in meaning; memory is N, H, W, C. Times are seconds, sizes bytes, accuracies
//   fractions.
//
// Headers that are installed beside these, and not included here, are for programs that look inside, as
// `lockstep bench`: any version may change them. What is included here changes with LS_ABI.
#pragma once

#include "base/arena.h"
#include "base/dtype.h"
#include "base/log.h"
#include "base/status.h"
#include "base/text.h"
#include "base/version.h"
#include "comm/comm.h"
#include "data/pack.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "study/study.h"
#include "train/check.h"
#include "train/checkpoint.h"
#include "train/figures.h"
#include "train/libraries.h"
#include "train/packing.h"
#include "train/planning.h"
#include "train/predict.h"
#include "train/session.h"
#include "train/stop.h"
#include "train/trainer.h"
#include "zoo/zoo.h"
