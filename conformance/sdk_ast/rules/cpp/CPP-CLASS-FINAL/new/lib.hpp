class A final { };
