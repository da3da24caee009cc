# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2025
ENV PYTHONPATH=c:\app `
    HF_HOME=c:\models
RUN echo hello `
  && echo world
