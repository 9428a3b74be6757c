extern _Thread_local int v;
