extern thread_local int a;
