#!/bin/sh
(exit 7) | cat
echo "status $?"
