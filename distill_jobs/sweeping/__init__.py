"""`understudy job sweep`: many students, one data set, one teacher, judged on validation alone."""
